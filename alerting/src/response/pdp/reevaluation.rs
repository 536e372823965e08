//! Policies asked again: the policies and data of a decision point, evaluated by regorus on an input that was logged.
//!
//! A policy that asks the clock is told the time of now. It knows nothing of logs, and trusts neither a path nor an input: both
//! come from a decision log.

use regorus::Engine;
use serde_json::Value;

use crate::Error;

/// Policies and data, ready to be asked.
pub struct Reevaluation {
    engine: Engine,
}

impl Reevaluation {
    /// Loads policies, each with the name of its file, and the data beside them.
    ///
    /// # Errors
    /// [`Error::Rego`] when a policy does not load, [`Error::PdpRefused`] when the data does not fit it.
    pub fn new(policies: &[(String, String)], data: &Value) -> Result<Reevaluation, Error> {
        let mut engine = Engine::new();
        for (file, text) in policies {
            engine
                .add_policy(file.clone(), text.clone())
                .map_err(|error| Error::Rego { file: file.clone(), problem: format!("{error:#}") })?;
        }
        let data = regorus::Value::from_json_str(&data.to_string()).map_err(|error| refused(&error))?;
        engine.add_data(data).map_err(|error| refused(&error))?;
        Ok(Reevaluation { engine })
    }

    /// What the rule at `path` (`wallet/signing/allow`) says of an input; `None` where it is undefined.
    ///
    /// # Errors
    /// [`Error::PdpRefused`] when there is no such rule, or it cannot be evaluated.
    pub fn ask(&mut self, path: &str, input: &Value) -> Result<Option<Value>, Error> {
        let is_name =
            |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let path = path.trim_matches('/');
        if !path.split('/').all(is_name) {
            return Err(refused(&format!("`{path}` is no path of a rule")));
        }
        self.engine.set_input(regorus::Value::from_json_str(&input.to_string()).map_err(|error| refused(&error))?);
        let answer =
            self.engine.eval_rule(format!("data.{}", path.replace('/', "."))).map_err(|error| refused(&error))?;
        if answer == regorus::Value::Undefined {
            return Ok(None);
        }
        let text = answer.to_json_str().map_err(|error| refused(&error))?;
        serde_json::from_str(&text).map(Some).map_err(|error| refused(&error))
    }
}

fn refused(error: &dyn std::fmt::Display) -> Error {
    Error::PdpRefused { endpoint: "policy".to_owned(), problem: format!("{error:#}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const POLICY: &str = "package signing\n\ndefault allow := false\n\nallow if input.amount < data.limit\n\n\
                          told := \"small\" if input.amount < data.limit\n";

    #[test]
    fn a_policy_is_asked_about_one_input_after_the_other() {
        let policies = [("signing.rego".to_owned(), POLICY.to_owned())];
        let mut policy = Reevaluation::new(&policies, &json!({"limit": 10})).unwrap();
        assert_eq!(policy.ask("signing/allow", &json!({"amount": 3})).unwrap(), Some(json!(true)));
        assert_eq!(policy.ask("/signing/allow", &json!({"amount": 30})).unwrap(), Some(json!(false)));
        assert_eq!(policy.ask("signing/told", &json!({"amount": 3})).unwrap(), Some(json!("small")));
        assert_eq!(policy.ask("signing/told", &json!({"amount": 30})).unwrap(), None);
        for path in ["signing/nothing", "signing/allow; x", "", "signing//allow"] {
            assert!(policy.ask(path, &json!({})).is_err(), "{path}");
        }
    }

    #[test]
    fn a_policy_that_does_not_load_is_named() {
        let told = Reevaluation::new(&[("bad.rego".to_owned(), "package".to_owned())], &json!({})).err().unwrap();
        assert!(told.to_string().starts_with("bad.rego: "), "{told}");
    }
}
