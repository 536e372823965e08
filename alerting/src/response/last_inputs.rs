//! The last inputs that the policy decision point allowed, by session, subject and device: what a revocation is probed
//! with. A bounded fold over `decision` events; our own probes are left out, known by their decision ids.

use std::collections::{HashMap, HashSet, VecDeque};

use keywatch_store::Event;
use keywatch_store::finding::Target;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::limits::{PROBE_IDS_MAX, PROBE_INPUT_BYTES_MAX, PROBE_INPUTS_BYTES_MAX, PROBE_INPUTS_MAX};

/// Policy whose decisions are remembered, without the leading slash.
const POLICY: &str = "wallet/signing";

type Name = (String, Target, String);

/// The memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastInputs {
    inputs: HashMap<Name, String>,
    order: VecDeque<Name>,
    /// Bytes of all inputs.
    bytes: usize,
    probes: HashSet<String>,
    probe_order: VecDeque<String>,
}

impl LastInputs {
    /// Takes in a `decision` event; others are passed over.
    pub fn apply(&mut self, event: &Event) {
        let allowed = event.kind() == "decision" && event.outcome() == Some("allow");
        if !allowed || event.decision().is_some_and(|id| self.probes.contains(id)) {
            return;
        }
        let detail = event.detail().value();
        let path = detail["path"].as_str().unwrap_or(POLICY).trim_start_matches('/');
        let erased = detail["erased"].as_array().is_some_and(|pointers| !pointers.is_empty());
        let input = &detail["input"];
        if erased || !path.starts_with(POLICY) || !input.is_object() {
            return;
        }
        let text = input.to_string();
        if text.len() > PROBE_INPUT_BYTES_MAX {
            return;
        }
        let named =
            [(Target::Session, event.session()), (Target::Subject, event.actor()), (Target::Device, event.device())];
        for (target, name) in named {
            if let Some(name) = name {
                self.remember((event.system().to_owned(), target, name.to_owned()), &text);
            }
        }
    }

    fn remember(&mut self, name: Name, text: &str) {
        self.bytes += text.len();
        match self.inputs.insert(name.clone(), text.to_owned()) {
            Some(earlier) => self.bytes -= earlier.len(),
            None => self.order.push_back(name),
        }
        while (self.order.len() > PROBE_INPUTS_MAX || self.bytes > PROBE_INPUTS_BYTES_MAX)
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.inputs.remove(&oldest).map_or(0, |input| input.len());
        }
    }

    /// Remembers the decision id of a probe of ours.
    pub fn remember_probe(&mut self, decision_id: &str) {
        if self.probes.insert(decision_id.to_owned()) {
            self.probe_order.push_back(decision_id.to_owned());
        }
        if self.probe_order.len() > PROBE_IDS_MAX
            && let Some(oldest) = self.probe_order.pop_front()
        {
            self.probes.remove(&oldest);
        }
    }

    /// Whether a decision answered a probe of ours.
    #[must_use]
    pub fn is_probe(&self, decision_id: &str) -> bool {
        self.probes.contains(decision_id)
    }

    /// The last allowed input of a session, subject or device.
    #[must_use]
    pub fn get(&self, system: &str, target: Target, name: &str) -> Option<Value> {
        let text = self.inputs.get(&(system.to_owned(), target, name.to_owned()))?;
        serde_json::from_str(text).ok()
    }
}

/// The memory as it is kept, in the order in which it is forgotten.
#[derive(Deserialize)]
struct Kept {
    inputs: Vec<(Name, String)>,
    probes: Vec<String>,
}

impl Serialize for LastInputs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Kept<'a> {
            inputs: Vec<(&'a Name, &'a String)>,
            probes: &'a VecDeque<String>,
        }
        let inputs = self.order.iter().filter_map(|name| self.inputs.get_key_value(name)).collect();
        Kept { inputs, probes: &self.probe_order }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LastInputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LastInputs, D::Error> {
        let Kept { inputs, probes } = Kept::deserialize(deserializer)?;
        Ok(LastInputs {
            order: inputs.iter().map(|(name, _)| name.clone()).collect(),
            bytes: inputs.iter().map(|(_, input)| input.len()).sum(),
            inputs: inputs.into_iter().collect(),
            probes: probes.iter().cloned().collect(),
            probe_order: probes.into(),
        })
    }
}
