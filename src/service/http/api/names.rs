//! Names that an operator says and that have to be there: a rule, a system, a person. A name that nobody has is refused with the
//! nearest ones, since what is done in its name would be done to nothing.

use axum::http::StatusCode;
use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use keywatch_alerting::SilenceRequest;

use super::{Api, Refusal};
use crate::service::operators::{Operator, Permission};

/// How many names are offered.
const NEAREST_MAX: usize = 3;

/// Characters of a name that are held against those there are: it takes time with the product of both lengths.
const COMPARED_CHARS_MAX: usize = 100;

/// Whether a silence is of a system that is declared and, where it names one, of a rule that runs.
pub(super) fn check_silence(api: &Api, operator: &Operator, request: &SilenceRequest) -> Result<(), Refusal> {
    let inventory = api.known.inventory.now();
    let systems: Vec<&str> = inventory.systems.iter().map(|system| system.id.as_str()).collect();
    if !systems.contains(&request.system.as_str()) {
        let own = systems.into_iter().filter(|system| operator.sees(system));
        return Err(unknown("no system", &request.system, own));
    }
    let Some(rule) = request.matcher.rule.as_deref() else { return Ok(()) };
    if rule.starts_with("keywatch/") {
        let problem = format!("`{rule}` is about keywatch itself: its findings are never silenced");
        return Err(Refusal::new(StatusCode::CONFLICT, problem));
    }
    let mut rules = api.known.rules.all().iter().map(|known| known.id.as_str());
    if rules.any(|known| known == rule) {
        return Ok(());
    }
    Err(unknown("no rule", rule, api.known.rules.all().iter().map(|known| known.id.as_str())))
}

/// Whether an incident of `system` can be given to `name`: somebody who may see to it there. Whom an identity provider names is not
/// known before they come.
pub(super) fn check_assignee(api: &Api, operator: &Operator, name: &str, system: &str) -> Result<(), Refusal> {
    let can = |known: &&Operator| known.sees(system) && known.may(Permission::Handle);
    let known: Vec<&Operator> = api.operators.configured().collect();
    if name == operator.name || known.iter().any(|known| known.name == name && can(known)) {
        return Ok(());
    }
    if known.iter().any(|known| known.name == name) {
        let problem =
            format!("`{name}` may not see to incidents of {system}: give it to an analyst, responder or admin of it");
        return Err(Refusal::new(StatusCode::CONFLICT, problem));
    }
    if api.operators.provider().is_some() || name.trim().is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = known.into_iter().filter(can).map(|known| known.name.as_str()).collect();
    Err(unknown("no operator", name, names.into_iter()))
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Refusal {
    Refusal::new(StatusCode::CONFLICT, format!("there is {what} `{name}`{}", nearest(name, known)))
}

/// The names nearest to this one, as the end of a sentence; nothing where there are none.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let wanted: String = name.to_lowercase().chars().take(COMPARED_CHARS_MAX).collect();
    let alike = |known: &str| normalized_levenshtein(&known.to_lowercase(), &wanted);
    let mut known: Vec<(f64, &str)> = known.map(|known| (alike(known), known)).collect();
    known.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.cmp(other.1)));
    let near: Vec<String> = known.iter().take(NEAREST_MAX).map(|(_, name)| format!("`{name}`")).collect();
    match near.as_slice() {
        [] => String::new(),
        [one] => format!("; the nearest is {one}"),
        several => format!("; the nearest are {}", several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_come_first_and_a_few_of_them() {
        let rules =
            ["chain/amount_outlier", "signing/nonce_gap", "chain/amount_outliers_of_many", "session/two_places"];
        let said = nearest("Chain/amount_outlyer", rules.into_iter());
        assert!(
            said.starts_with("; the nearest are `chain/amount_outlier`, `chain/amount_outliers_of_many`, "),
            "{said}"
        );
        assert_eq!(said.matches('`').count(), 2 * NEAREST_MAX);
        assert_eq!(nearest("alicee", ["alice"].into_iter()), "; the nearest is `alice`");
        assert_eq!(nearest("alice", [].into_iter()), "");
    }
}
