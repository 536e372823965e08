//! In which order a process takes a partition over, and how it decides whether it has it. Pure: it asks nobody.
//!
//! Two things are at hand. *Fences*: whoever starts transactions under a name refuses who had the name before, and cannot be
//! refused in the same act. *Marks*: names beside committed offsets, which the last writer has, whoever that is. A fence alone
//! does not end a process that only responds, since one that does both writes under another name; a mark alone ends nobody. So
//! each process marks, fences, and looks at the marks again: who marked before and looks after another one sees that it was
//! replaced, and has done nothing yet.
//!
//! The group of those that find has two marks. A process *claims* the partition before its fence and *holds* it after. Only where
//! one that finds does both, claims and holds, may another one respond beside it: while it merely claims, the one before is not
//! fenced yet, and may be one that responds itself.

use super::settings::Concluding;

/// What the name of a process that only finds ends with.
const FINDS_ONLY: &str = " detect";

/// One thing that a process does to take a partition over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// Waits until a process that only finds has the partition.
    AwaitFinder,
    /// Writes its name where the one before will look for why it was refused.
    Claim,
    /// Brokers refuse the one before from now on.
    Fence,
    /// Ends where another process has claimed the partition since.
    Look,
    /// Asks whether there is, or was of late, a process that only responds. If not, the next two are left out.
    AskResponder,
    /// Writes its name where that one will look.
    ClaimResponder,
    /// Brokers refuse that one from now on.
    FenceResponder,
    /// Writes that those before are refused.
    Hold,
}

/// What a process does when it starts.
pub(super) fn first(concluding: Concluding) -> &'static [Step] {
    use Step::{AskResponder, AwaitFinder, Claim, ClaimResponder, Fence, FenceResponder, Hold, Look};
    match concluding {
        Concluding::All => &[Claim, Fence, Look, AskResponder, ClaimResponder, FenceResponder, Hold, Look],
        Concluding::Findings => &[Claim, Fence, Look, Hold],
        Concluding::Responses => &[AwaitFinder, Claim, Fence, Look],
    }
}

/// What a process does, after it has looked, so that the cluster does not forget its marks. A name that it wrote without having the
/// partition any more would be believed, so that it takes the partition anew.
pub(super) fn again(concluding: Concluding) -> &'static [Step] {
    match concluding {
        Concluding::All | Concluding::Findings => first(concluding),
        Concluding::Responses => &first(concluding)[1..],
    }
}

/// The name of a process as it stands in a mark.
pub(super) fn name(concluding: Concluding, process: &str) -> String {
    match concluding {
        Concluding::All | Concluding::Responses => process.to_owned(),
        Concluding::Findings => format!("{process}{FINDS_ONLY}"),
    }
}

/// The marks of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// Who was the last to take the partition over, or to begin to.
    pub(super) claimed: Option<String>,
    /// Who was the last to have done so.
    pub(super) held: Option<String>,
}

/// Who finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finder {
    /// Nobody has for days.
    Nobody,
    /// A process that leaves to another one what is to be done about its findings.
    FindsOnly,
    /// Such a process is about to; the one before it may do both yet.
    TakesOver,
    /// A process that does both, or is about to.
    DoesBoth,
}

/// Whether a process has a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has.
    Has,
    /// That depends on what another one is about to do: nothing is to be done until it is known.
    Undecided,
    /// Another one has it, or is about to.
    Replaced,
}

impl Marks {
    /// Who finds, where these are the marks of the group of those that do.
    pub(super) fn finder(&self) -> Finder {
        match &self.claimed {
            None => Finder::Nobody,
            Some(claimed) if !claimed.ends_with(FINDS_ONLY) => Finder::DoesBoth,
            claimed if *claimed == self.held => Finder::FindsOnly,
            Some(_) => Finder::TakesOver,
        }
    }
}

/// Whether the process of that name has the partition, by the marks of its own group; for who only responds, `finders` are those of
/// the group of those that find.
pub(super) fn standing(name: &str, own: &Marks, finders: Option<&Marks>) -> Standing {
    if own.claimed.as_deref() != Some(name) {
        return Standing::Replaced;
    }
    match finders.map(Marks::finder) {
        None | Some(Finder::FindsOnly) => Standing::Has,
        Some(Finder::Nobody | Finder::TakesOver) => Standing::Undecided,
        Some(Finder::DoesBoth) => Standing::Replaced,
    }
}

/// Whether a process that had the partition may take it over from itself, by the marks of its own group. Where the cluster has
/// forgotten them nobody would ever make them again, so that it takes the partition over as one does that starts.
pub(super) fn may_take_again(own: &Marks, standing: Standing) -> bool {
    own.claimed.is_none() || standing == Standing::Has
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn marks(claimed: &str, held: &str) -> Marks {
        let mark = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        Marks { claimed: mark(claimed), held: mark(held) }
    }

    #[test]
    fn who_has_a_partition_follows_from_the_marks() {
        let own = marks("r", "");
        let cases = [
            (marks("d detect", "d detect"), Standing::Has),
            (marks("d detect", "e"), Standing::Undecided),
            (marks("d detect", "c detect"), Standing::Undecided),
            (marks("d detect", ""), Standing::Undecided),
            (marks("", "d detect"), Standing::Undecided),
            (marks("e", "e"), Standing::Replaced),
            (marks("e", "d detect"), Standing::Replaced),
        ];
        for (finders, expected) in cases {
            assert_eq!(standing("r", &own, Some(&finders)), expected, "{finders:?}");
            assert_eq!(standing("s", &own, Some(&finders)), Standing::Replaced, "it was replaced by one of its kind");
        }
        // Who finds asks nobody but its own group, and its claim is what counts.
        assert_eq!(standing("e", &marks("e", "d detect"), None), Standing::Has);
        assert_eq!(standing("e", &marks("d detect", "e"), None), Standing::Replaced);
        assert_eq!(standing("e", &Marks::default(), None), Standing::Replaced);
    }

    #[test]
    fn marks_that_the_cluster_has_forgotten_are_made_again_and_those_of_another_are_left() {
        let again = |own: &Marks, finders: Option<&Marks>| may_take_again(own, standing("d", own, finders));
        assert!(again(&marks("d", "d"), None) && again(&Marks::default(), None));
        assert!(!again(&marks("e", "d"), None) && !again(&marks("e", "e"), None));
        let (finds, does_both) = (marks("f detect", "f detect"), marks("e", "e"));
        assert!(again(&marks("d", ""), Some(&finds)) && again(&Marks::default(), Some(&finds)));
        assert!(!again(&marks("d", ""), Some(&does_both)) && !again(&marks("r", ""), Some(&finds)));
        // As one that starts, it looks before it does anything.
        assert!(again(&Marks::default(), Some(&does_both)));
        assert_eq!(super::again(Concluding::Responses).last(), Some(&Step::Look));
    }

    /// Where a process of the model is.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    enum Life {
        /// It has these steps before it; whether it has found one that responds.
        Takes(Vec<Step>, bool),
        /// It acts as long as its fence holds.
        Acts,
        Ended,
    }

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Process {
        concluding: Concluding,
        life: Life,
        /// How often it may yet take the partition anew: because it was refused, or so that its marks are not forgotten.
        renewals: usize,
    }

    /// A cluster with one partition: by group, the marks and who has the fence. 0 is the group of those that find.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Cluster {
        marks: [(Option<String>, Option<String>); 2],
        fences: [Option<usize>; 2],
        processes: Vec<Process>,
    }

    fn group(concluding: Concluding) -> usize {
        usize::from(concluding == Concluding::Responses)
    }

    impl Cluster {
        /// One process finds and another responds; others start.
        fn with(starting: &[Concluding], renewals: usize) -> Cluster {
            let of = |concluding, life, renewals| Process { concluding, life, renewals };
            let acting =
                [Concluding::Findings, Concluding::Responses].map(|concluding| of(concluding, Life::Acts, renewals));
            let starting = starting.iter().map(|concluding| {
                let renewals = if *concluding == Concluding::All { renewals } else { 0 };
                of(*concluding, Life::Takes(first(*concluding).to_vec(), false), renewals)
            });
            let names = [name(Concluding::Findings, "0"), name(Concluding::Responses, "1")];
            Cluster {
                marks: [(Some(names[0].clone()), Some(names[0].clone())), (Some(names[1].clone()), None)],
                fences: [Some(0), Some(1)],
                processes: acting.into_iter().chain(starting).collect(),
            }
        }

        fn marks_of(&self, group: usize) -> Marks {
            let (claimed, held) = self.marks[group].clone();
            Marks { claimed, held }
        }

        fn standing(&self, number: usize) -> Standing {
            let concluding = self.processes[number].concluding;
            let finders = (concluding == Concluding::Responses).then(|| self.marks_of(0));
            let own = self.marks_of(group(concluding));
            standing(&name(concluding, &number.to_string()), &own, finders.as_ref())
        }

        /// Whether what it concludes now is written: only then does it act.
        fn acts(&self, number: usize) -> bool {
            let process = &self.processes[number];
            process.life == Life::Acts && self.fences[group(process.concluding)] == Some(number)
        }

        /// What may be next if it is that process's turn.
        fn next(&self, number: usize) -> Vec<Cluster> {
            let process = &self.processes[number];
            match &process.life {
                Life::Ended => Vec::new(),
                Life::Acts if process.renewals == 0 => Vec::new(),
                Life::Acts if self.acts(number) => {
                    // Now and then it marks again.
                    vec![self.begin(number, [&[Step::Look][..], again(process.concluding)].concat())]
                }
                Life::Acts => vec![self.begin(number, vec![Step::Look, Step::Fence, Step::Look])],
                Life::Takes(steps, has_responder) => self.step(number, steps, *has_responder),
            }
        }

        fn begin(&self, number: usize, steps: Vec<Step>) -> Cluster {
            let mut next = self.clone();
            next.processes[number].renewals -= 1;
            next.processes[number].life = Life::Takes(steps, false);
            next
        }

        fn step(&self, number: usize, steps: &[Step], mut has_responder: bool) -> Vec<Cluster> {
            let concluding = self.processes[number].concluding;
            let own = group(concluding);
            let name = name(concluding, &number.to_string());
            let mut next = self.clone();
            match steps[0] {
                Step::AwaitFinder if self.marks_of(0).finder() != Finder::FindsOnly => return Vec::new(),
                Step::AwaitFinder => {}
                Step::Claim => next.marks[own].0 = Some(name),
                Step::Fence => next.fences[own] = Some(number),
                Step::Look => match self.standing(number) {
                    Standing::Has => {}
                    Standing::Undecided => return Vec::new(),
                    Standing::Replaced => {
                        next.processes[number].life = Life::Ended;
                        return vec![next];
                    }
                },
                Step::AskResponder => has_responder = self.marks[1].0.is_some(),
                Step::ClaimResponder if has_responder => next.marks[1].0 = Some(name),
                Step::FenceResponder if has_responder => next.fences[1] = Some(number),
                Step::ClaimResponder | Step::FenceResponder => {}
                Step::Hold => next.marks[own].1 = Some(name),
            }
            let left = steps[1..].to_vec();
            next.processes[number].life = if left.is_empty() { Life::Acts } else { Life::Takes(left, has_responder) };
            vec![next]
        }

        /// Those that would respond to the same finding.
        fn responding(&self) -> Vec<usize> {
            let responds = |number: &usize| self.processes[*number].concluding != Concluding::Findings;
            (0..self.processes.len()).filter(responds).filter(|number| self.acts(*number)).collect()
        }
    }

    /// Goes through every order of steps; how many states there are.
    fn explore(first: Cluster) -> usize {
        let (mut seen, mut left) = (HashSet::from([first.clone()]), vec![first]);
        while let Some(cluster) = left.pop() {
            assert!(cluster.responding().len() <= 1, "two respond: {cluster:?}");
            for number in 0..cluster.processes.len() {
                for next in cluster.next(number) {
                    if seen.insert(next.clone()) {
                        left.push(next);
                    }
                }
            }
        }
        seen.len()
    }

    #[test]
    fn p5_in_no_order_of_steps_do_two_processes_respond() {
        use Concluding::{All, Findings, Responses};
        let cases: [(&[Concluding], usize); 4] =
            [(&[All, Responses], 1), (&[All, Findings], 1), (&[All, All], 0), (&[All, Responses, Findings], 0)];
        for (starting, renewals) in cases {
            let states = explore(Cluster::with(starting, renewals));
            assert!(states > 100, "{starting:?}: only {states} states");
        }
    }

    #[test]
    fn without_somebody_in_between_the_last_one_that_starts_responds() {
        for (concluding, expected) in [(Concluding::All, 2), (Concluding::Responses, 2), (Concluding::Findings, 1)] {
            let mut cluster = Cluster::with(&[concluding], 0);
            while matches!(cluster.processes[2].life, Life::Takes(..)) {
                cluster = cluster.next(2).pop().unwrap();
            }
            assert_eq!(cluster.responding(), [expected], "{concluding:?}");
        }
    }
}
