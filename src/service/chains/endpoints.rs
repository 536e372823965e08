//! Several nodes of one chain. Without a quorum they are asked one after the other, those that failed lately last; with one,
//! all are asked, and what is answered holds when enough of them say the same. Those that lag are left out where the others
//! suffice, which lowers no quorum.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use super::node::{Class, Node, Trouble};
use crate::limits::{NODE_REST_SECONDS_MAX, NODE_REST_SECONDS_MIN};

/// The nodes of a chain.
pub(crate) struct Endpoints {
    endpoints: Vec<Endpoint>,
    quorum: usize,
}

struct Endpoint {
    node: Arc<Node>,
    health: Mutex<Health>,
    /// Whether it lags, so that others are asked where they suffice.
    is_out: AtomicBool,
}

#[derive(Clone, Copy, Default)]
struct Health {
    failures: u32,
    rests_until: Option<Instant>,
}

/// What enough nodes say.
pub(crate) struct Agreed<T> {
    /// The answer.
    pub(crate) answer: T,
    /// What each said where not all said the same: node, and what stands for its answer.
    pub(crate) dissent: Vec<(String, String)>,
    /// How many say so.
    pub(crate) voices: usize,
}

impl Endpoints {
    /// Nodes, of which `quorum` have to say the same.
    pub(crate) fn new(nodes: Vec<Node>, quorum: usize) -> Endpoints {
        let endpoint =
            |node| Endpoint { node: Arc::new(node), health: Mutex::default(), is_out: AtomicBool::new(false) };
        Endpoints { endpoints: nodes.into_iter().map(endpoint).collect(), quorum: quorum.max(1) }
    }

    /// All of them.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.endpoints.iter().map(|endpoint| &endpoint.node)
    }

    /// How many have to say the same.
    pub(crate) fn quorum(&self) -> usize {
        self.quorum
    }

    /// Leaves nodes out that lag, and takes the others in again; `out` is in the order of [`Endpoints::nodes`].
    pub(crate) fn leave_out(&self, out: &[bool]) {
        for (endpoint, is_out) in self.endpoints.iter().zip(out) {
            endpoint.is_out.store(*is_out, Ordering::Release);
        }
    }

    /// Those that have a voice: all where too few of them keep up.
    fn voices(&self) -> Vec<&Endpoint> {
        let fit: Vec<&Endpoint> = self.endpoints.iter().filter(|endpoint| !endpoint.is_out()).collect();
        if fit.len() >= self.quorum { fit } else { self.endpoints.iter().collect() }
    }

    /// What `ask` gets. `mark` makes what is compared of an answer. A node that answered with what a block's hash does not stand
    /// for dissents.
    ///
    /// # Errors
    /// No node answers, or too few say the same.
    pub(crate) async fn agreed<T, F, A>(&self, ask: F, mark: impl Fn(&T) -> String) -> Result<Agreed<T>, Trouble>
    where
        F: Fn(Arc<Node>) -> A,
        A: Future<Output = Result<T, Trouble>>,
    {
        if self.quorum == 1 {
            return self.first(ask, mark).await;
        }
        let ask = &ask;
        let voices = self.voices();
        let asked = voices.into_iter().map(|endpoint| async move { (endpoint, ask(Arc::clone(&endpoint.node)).await) });
        let mut by_mark: BTreeMap<String, (Vec<String>, T)> = BTreeMap::new();
        let (mut unvouched, mut trouble) = (Vec::new(), None);
        for (endpoint, answer) in join_all(asked).await {
            endpoint.note(answer.as_ref().err());
            match answer {
                Ok(answer) => {
                    let entry = by_mark.entry(mark(&answer)).or_insert_with(|| (Vec::new(), answer));
                    entry.0.push(endpoint.node.name().to_owned());
                }
                Err(problem) if problem.class == Class::Unvouched => {
                    unvouched.push((endpoint.node.name().to_owned(), problem.problem));
                }
                Err(problem) => trouble = Some(problem),
            }
        }
        let said = |(mark, (names, _)): (&String, &(Vec<String>, T))| {
            names.iter().map(|name| (name.clone(), mark.clone())).collect::<Vec<_>>()
        };
        let differ = by_mark.len() > 1 || !unvouched.is_empty();
        let dissent: Vec<(String, String)> =
            if differ { by_mark.iter().flat_map(said).chain(unvouched).collect() } else { Vec::new() };
        let enough = by_mark.into_values().find(|(names, _)| names.len() >= self.quorum);
        match (enough, trouble) {
            (Some((names, answer)), _) => Ok(Agreed { answer, dissent, voices: names.len() }),
            (None, trouble) => Err(self.no_quorum(&dissent, trouble)),
        }
    }

    fn no_quorum(&self, dissent: &[(String, String)], trouble: Option<Trouble>) -> Trouble {
        let said: Vec<String> = dissent.iter().map(|(name, mark)| format!("`{name}` says {mark}")).collect();
        let troubled = trouble.map(|trouble| trouble.to_string());
        let all: Vec<String> = said.into_iter().chain(troubled).collect();
        let problem = format!("no {} nodes say the same: {}", self.quorum, all.join("; "));
        Trouble::new(Class::NoQuorum, problem)
    }

    /// The answer of the first node that has one. Nodes before it may dissent.
    async fn first<T, F, A>(&self, ask: F, mark: impl Fn(&T) -> String) -> Result<Agreed<T>, Trouble>
    where
        F: Fn(Arc<Node>) -> A,
        A: Future<Output = Result<T, Trouble>>,
    {
        let now = Instant::now();
        let place = |(at, endpoint): (usize, &Endpoint)| (endpoint.rests(now), endpoint.is_out(), at);
        let mut order: Vec<(bool, bool, usize)> = self.endpoints.iter().enumerate().map(place).collect();
        order.sort_unstable();
        let (mut last, mut dissent) = (None, Vec::new());
        // One that rests or lags is still asked where no other answers: a chain is not left for its provider's sake.
        for (_, _, at) in order {
            let endpoint = &self.endpoints[at];
            let answer = ask(Arc::clone(&endpoint.node)).await;
            endpoint.note(answer.as_ref().err());
            match answer {
                Ok(answer) => {
                    if !dissent.is_empty() {
                        dissent.push((endpoint.node.name().to_owned(), mark(&answer)));
                    }
                    return Ok(Agreed { answer, dissent, voices: 1 });
                }
                Err(trouble) => {
                    if trouble.class == Class::Unvouched {
                        dissent.push((endpoint.node.name().to_owned(), trouble.problem.clone()));
                    }
                    last = Some(trouble);
                }
            }
        }
        let mut trouble = last.unwrap_or_else(|| Trouble::new(Class::Unreachable, "no node is configured".into()));
        // That the last of them is away is not all that is wrong.
        let last = trouble.endpoint.clone();
        for (name, said) in dissent.into_iter().filter(|(name, _)| *name != last) {
            trouble.problem = format!("{}; node `{name}`: {said}", trouble.problem);
        }
        Err(trouble)
    }
}

impl Endpoint {
    fn is_out(&self) -> bool {
        self.is_out.load(Ordering::Acquire)
    }

    fn rests(&self, now: Instant) -> bool {
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.rests_until.is_some_and(|until| until > now)
    }

    /// After a failure it rests, twice as long after each further one, or as long as it asks.
    fn note(&self, trouble: Option<&Trouble>) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(trouble) = trouble else {
            *health = Health::default();
            return;
        };
        let doubled = NODE_REST_SECONDS_MIN.saturating_mul(1 << health.failures.min(10));
        let rest = trouble.retry_after.unwrap_or(Duration::from_secs(doubled));
        health.failures = health.failures.saturating_add(1);
        health.rests_until = Some(Instant::now() + rest.min(Duration::from_secs(NODE_REST_SECONDS_MAX)));
    }
}
