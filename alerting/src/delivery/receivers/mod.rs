//! Receivers, a module each: a pure function from what is told to what is sent, with golden files beside it, and a thin
//! sink that sends it. A further one is a module here, and a kind in the configuration.
//!
//! | module | what it speaks |
//! |---|---|
//! | [`alertmanager`] | Alertmanager, API v2 |
//! | [`pagerduty`] | `PagerDuty` Events, API v2 |
//! | [`slack`] | Slack, incoming webhooks |
//! | [`email`] | e-mail over SMTP |
//! | [`siem`], [`cef`] | lines to a file or over TCP and TLS: JSON, OCSF, `ArcSight` CEF in syslog |
//! | [`ocsf`] | OCSF 1.8.0 Detection Finding |

pub mod alertmanager;
pub mod cef;
pub mod email;
pub mod ocsf;
pub mod pagerduty;
pub mod siem;
pub mod slack;

#[cfg(test)]
mod golden;
