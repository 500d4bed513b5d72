//! What one attempt over several recipients comes to.

use herald_model::Outcome;

use super::ledger::Ledger;
use super::reply::Verdict;
use crate::said::{KEPT, one_line};

/// Verdicts gathered so far, and the ledger they are written into.
pub(super) struct Round {
    pub(super) ledger: Ledger,
    /// Of those who are still to be mailed.
    worst: Option<Worst>,
    problems: Vec<String>,
    replies: Vec<String>,
}

/// The worst that happened to somebody who is still to be mailed, in rising order: what may have
/// arrived must be told, and a broken way costs no attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worst {
    Later,
    Fault,
    Unknown,
}

/// What a verdict means for the rest of the round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing.
    GoOn,
    /// The ledger changed.
    Save,
    /// What is wrong is wrong for everybody.
    Stop,
}

impl Round {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            worst: None,
            problems: Vec::new(),
            replies: Vec::new(),
        }
    }

    /// Takes down the verdict on one recipient.
    pub(super) fn note(&mut self, address: &str, verdict: Verdict) -> Next {
        let (worst, words) = match verdict {
            Verdict::Accepted(words) => {
                self.ledger.accept(address);
                self.replies.push(words);
                return Next::Save;
            }
            Verdict::Refused(words) => {
                self.ledger.refuse(address, &words);
                return Next::Save;
            }
            Verdict::Later(words) => (Worst::Later, words),
            Verdict::Fault(words) => (Worst::Fault, words),
            Verdict::Unknown(words) => (Worst::Unknown, words),
        };
        self.worst = self.worst.max(Some(worst));
        self.problems.push(format!("{address}: {words}"));
        match worst {
            Worst::Fault => Next::Stop,
            Worst::Later | Worst::Unknown => Next::GoOn,
        }
    }

    /// The outcome of the attempt: the worst while somebody is still to be mailed; then a dead
    /// letter that names whom the server refused; then delivered.
    pub(super) fn outcome<'a>(
        &self,
        everybody: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Outcome {
        let mut left = everybody.clone().into_iter();
        let is_left = left.any(|address| !self.ledger.is_settled(address));
        let refusals = self.ledger.refusals(everybody);
        let lines: Vec<_> = self.problems.iter().chain(&refusals).cloned().collect();
        let reason = one_line(&lines.join("; "), KEPT);
        match self.worst {
            Some(Worst::Unknown) => Outcome::unknown(reason),
            Some(Worst::Fault) => Outcome::sink_fault(reason),
            Some(Worst::Later) => Outcome::transient(reason),
            None if is_left => Outcome::transient("not everybody was mailed"),
            None if refusals.is_some() => Outcome::permanent(reason),
            None if self.replies.is_empty() => Outcome::Delivered {
                reply: "everybody was mailed at an earlier attempt".to_owned(),
            },
            None => Outcome::Delivered {
                reply: one_line(&self.replies.join("; "), KEPT),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_left_is_delivered() {
        let mut ledger = Ledger::default();
        ledger.accept("a");
        let outcome = Round::new(ledger).outcome(["a"]);
        assert_eq!(
            outcome.reason(),
            "everybody was mailed at an earlier attempt"
        );
    }

    #[test]
    fn the_worst_counts() {
        let accepted = || Verdict::Accepted("250".to_owned());
        let refused = || Verdict::Refused("550".to_owned());
        let later = || Verdict::Later("451".to_owned());
        let fault = || Verdict::Fault("535".to_owned());
        let unknown = || Verdict::Unknown("cut".to_owned());
        for (verdicts, word, reason) in [
            (vec![accepted(), accepted()], "delivered", "250; 250"),
            (vec![accepted(), refused()], "permanent", "b: 550"),
            (vec![refused(), later()], "transient", "b: 451; a: 550"),
            (vec![later(), fault()], "sink-fault", "a: 451; b: 535"),
            (vec![unknown(), fault()], "unknown", "a: cut; b: 535"),
            (vec![unknown(), later()], "unknown", "a: cut; b: 451"),
        ] {
            let mut round = Round::new(Ledger::default());
            for (address, verdict) in ["a", "b"].into_iter().zip(verdicts) {
                round.note(address, verdict);
            }
            let outcome = round.outcome(["a", "b"]);
            assert_eq!((outcome.as_str(), outcome.reason()), (word, reason));
        }
    }
}
