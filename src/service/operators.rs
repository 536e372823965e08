//! Named operators: who may see and do what, in which systems. Each has a token, of which the configuration holds the
//! SHA-256; who comes with which stands in `authentication`. Knows nothing of HTTP; the policy decision point that keywatch
//! watches has no say here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, ensure};
use keywatch_store::Inventory;
use serde::{Deserialize, Serialize};

/// An operator as configured.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configured {
    /// The name that stands in records.
    pub(crate) name: String,
    /// Further names of this person, as events know them: nobody decides on what is to be done about themselves.
    #[serde(default)]
    pub(crate) aliases: BTreeSet<String>,
    /// SHA-256 of the bearer token, 64 hexadecimal digits.
    pub(crate) token_sha256: String,
    /// File with the password for SQL; without it the operator cannot ask there.
    #[serde(default)]
    pub(crate) sql_password_file: Option<PathBuf>,
    /// What the operator may do.
    pub(crate) roles: BTreeSet<Role>,
    /// Systems, or `*` for all.
    pub(crate) systems: BTreeSet<String>,
}

impl Configured {
    /// The systems that alone are the operator's; `None` where all are.
    pub(crate) fn only_systems(&self) -> Option<&BTreeSet<String>> {
        (!self.systems.contains("*")).then_some(&self.systems)
    }
}

/// A role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Sees.
    Viewer,
    /// Sees, and handles incidents.
    Analyst,
    /// As an analyst; silences, and decides on responses.
    Responder,
    /// Everything.
    Admin,
    /// Sees everything there is to see, and changes nothing.
    Auditor,
}

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    /// To see.
    Read,
    /// To handle incidents: acknowledge, assign, comment, resolve, reopen.
    Handle,
    /// To silence, or to agree to a silence.
    Silence,
    /// To approve, reject or take back responses.
    Respond,
    /// To put rules into shadow, to switch them off and on, or to agree to that.
    Switch,
    /// To say whose word counts.
    Administer,
}

impl Permission {
    /// In words, for who lacks it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Permission::Read => "see this: any role does",
            Permission::Handle => "handle incidents: analyst, responder or admin does",
            Permission::Silence => "silence: responder or admin does",
            Permission::Respond => "decide on responses: responder or admin does",
            Permission::Switch => "switch rules: responder or admin does",
            Permission::Administer => "declare a credential stolen, or take that back: admin does",
        }
    }
}

impl Role {
    fn allows(self, permission: Permission) -> bool {
        match permission {
            Permission::Read => true,
            Permission::Handle => matches!(self, Role::Analyst | Role::Responder | Role::Admin),
            Permission::Silence | Permission::Respond | Permission::Switch => {
                matches!(self, Role::Responder | Role::Admin)
            }
            Permission::Administer => self == Role::Admin,
        }
    }
}

/// An operator who has shown a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Operator {
    /// The name that stands in records.
    pub(crate) name: String,
    /// What the operator may do.
    pub(crate) roles: BTreeSet<Role>,
    systems: BTreeSet<String>,
}

impl Operator {
    /// Somebody whom others have made sure of.
    pub(crate) fn new(name: String, roles: BTreeSet<Role>, systems: BTreeSet<String>) -> Operator {
        Operator { name, roles, systems }
    }

    /// Whether one of the roles allows it.
    pub(crate) fn may(&self, permission: Permission) -> bool {
        self.roles.iter().any(|role| role.allows(permission))
    }

    /// Whether the system is one of the operator's.
    pub(crate) fn sees(&self, system: &str) -> bool {
        self.systems.contains("*") || self.systems.contains(system)
    }
}

/// Further names of operators, by the names that stand in records.
pub(crate) fn aliases(operators: &[Configured]) -> BTreeMap<String, BTreeSet<String>> {
    operators.iter().map(|operator| (operator.name.clone(), operator.aliases.clone())).collect()
}

/// Checks the operators of a configuration; `taken` are the hashes of other tokens.
///
/// # Errors
/// Each names the operator and what to write instead.
pub(crate) fn check(operators: &[Configured], taken: &[&str], inventory: &Inventory) -> anyhow::Result<()> {
    for (index, operator) in operators.iter().enumerate() {
        check_one(operator, inventory).with_context(|| format!("operators[{index}] (`{}`)", operator.name))?;
        let earlier = &operators[..index];
        let hash = |other: &str| other.eq_ignore_ascii_case(&operator.token_sha256);
        ensure!(
            !earlier.iter().any(|other| other.name == operator.name),
            "operators[{index}]: the name `{}` is used twice",
            operator.name
        );
        for alias in &operator.aliases {
            let is_it = |name: &String| name.to_lowercase() == alias.to_lowercase();
            let others = operators.iter().filter(|other| other.name != operator.name);
            let taken = others.flat_map(|other| other.aliases.iter().chain([&other.name])).any(is_it);
            let is_name = !alias.trim().is_empty() && !taken;
            ensure!(is_name, "operators[{index}]: the alias `{alias}` is empty, or somebody else's");
        }
        let twice = earlier.iter().any(|other| hash(&other.token_sha256)) || taken.iter().any(|other| hash(other));
        ensure!(!twice, "operators[{index}]: token_sha256 is used twice; everybody needs a token of their own");
    }
    Ok(())
}

fn check_one(operator: &Configured, inventory: &Inventory) -> anyhow::Result<()> {
    let name = operator.name.as_str();
    ensure!(!name.trim().is_empty() && name != "keywatch", "name: say who it is; `keywatch` is keywatch itself");
    let digits = operator.token_sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(digits && operator.token_sha256.len() == 64, "token_sha256: must be 64 hexadecimal digits");
    ensure!(!operator.roles.is_empty(), "roles: give viewer, analyst, responder, admin or auditor");
    ensure!(!operator.systems.is_empty(), "systems: name the operator's systems, or \"*\" for all");
    for system in operator.systems.iter().filter(|system| *system != "*") {
        ensure!(inventory.system(system).is_some(), "systems: the inventory has no system `{system}`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::service::authentication::Operators;

    fn configured(name: &str, role: Role, system: &str) -> Configured {
        Configured {
            name: name.to_owned(),
            aliases: BTreeSet::new(),
            token_sha256: hex::encode(Sha256::digest(name)),
            sql_password_file: None,
            roles: BTreeSet::from([role]),
            systems: BTreeSet::from([system.to_owned()]),
        }
    }

    #[test]
    fn a_token_is_one_operator_with_the_rights_of_the_role() {
        let roles = [Role::Viewer, Role::Analyst, Role::Responder, Role::Admin, Role::Auditor];
        let all: Vec<Configured> = roles.iter().map(|role| configured(&format!("{role:?}"), *role, "cold")).collect();
        let operators = Operators::new(&all).unwrap();
        for (role, handles, silences) in [
            (Role::Viewer, false, false),
            (Role::Analyst, true, false),
            (Role::Responder, true, true),
            (Role::Admin, true, true),
            (Role::Auditor, false, false),
        ] {
            let header = format!("Bearer {role:?}");
            let operator = operators.find(Some(header.as_bytes())).unwrap();
            let rights = [Permission::Read, Permission::Handle, Permission::Silence, Permission::Respond];
            assert_eq!(rights.map(|needed| operator.may(needed)), [true, handles, silences, silences], "{role:?}");
            assert_eq!(operator.may(Permission::Switch), silences, "{role:?}");
            assert!(operator.sees("cold") && !operator.sees("hot"));
        }
        let of = |system| configured("ann", Role::Viewer, system).only_systems().cloned();
        assert_eq!((of("cold"), of("*")), (Some(BTreeSet::from(["cold".to_owned()])), None));
        assert!(operators.find(Some(b"Bearer nobody")).is_none());
        assert!(operators.find(None).is_none());
    }

    #[test]
    fn what_is_wrong_with_an_operator_is_named() {
        let inventory = Inventory::parse("i", "[[systems]]\nid = \"cold\"").unwrap();
        let ann = || configured("ann", Role::Analyst, "cold");
        check(&[ann(), configured("bob", Role::Viewer, "*")], &[], &inventory).unwrap();
        let problem = |operators: &[Configured], taken: &[&str]| {
            format!("{:#}", check(operators, taken, &inventory).unwrap_err())
        };
        assert!(problem(&[ann(), ann()], &[]).contains("used twice"));
        assert!(problem(&[ann()], &[&ann().token_sha256.to_uppercase()]).contains("token_sha256 is used twice"));
        let known_as = |alias: &str| Configured { aliases: BTreeSet::from([alias.to_owned()]), ..ann() };
        let bob = Configured {
            aliases: BTreeSet::from(["Bob@firm.example".to_owned()]),
            ..configured("bob", Role::Viewer, "*")
        };
        check(&[known_as("ann@firm.example"), bob.clone()], &[], &inventory).unwrap();
        for taken in ["bob", "bob@firm.example", " ", "BOB"] {
            assert!(problem(&[known_as(taken), bob.clone()], &[]).contains("somebody else's"), "{taken:?}");
        }
        assert!(problem(&[configured("ann", Role::Analyst, "hot")], &[]).contains("no system `hot`"));
        assert!(problem(&[configured("keywatch", Role::Analyst, "*")], &[]).contains("keywatch itself"));
        assert!(problem(&[Configured { token_sha256: "ann".into(), ..ann() }], &[]).contains("64 hexadecimal"));
        assert!(problem(&[Configured { roles: BTreeSet::new(), ..ann() }], &[]).contains("roles"));
    }
}
