//! The front door among strangers and neighbours: nobody takes another's turn, and nobody speaks for another.

mod agent;
mod certificates;
mod crowd;
mod figures;
mod forms;
mod page;
mod reload;
mod signed;
mod site;
mod streams;
