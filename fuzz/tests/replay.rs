//! What fuzzing has found stays found: the whole corpus again, and some thousand inputs like it.

use fastrand::Rng;
use fuzz::catalogue::{Catalogue, Subject};
use fuzz::corpus::seeds;
use fuzz::generate;
use fuzz::targets::{self, Outcome, Target};

/// Inputs that are made of each target's corpus.
const MUTATIONS: usize = 3000;

/// Inputs that changes are made of, beside the corpus.
const CHANGED: usize = 256;

#[test]
fn frame() {
    replay(&targets::FRAME);
}

#[test]
fn opus() {
    replay(&targets::OPUS);
}

#[test]
fn parse() {
    replay(&targets::PARSE);
}

#[test]
fn render() {
    replay(&targets::RENDER);
}

#[test]
fn routing() {
    replay(&targets::ROUTING);
}

#[test]
fn signature() {
    replay(&targets::SIGNATURE);
}

#[test]
fn every_subject_is_taken() {
    let catalogue = Catalogue::shared();
    let events = catalogue.events.iter().map(Subject::Event);
    let messages = catalogue.messages.iter().map(Subject::Message);
    let mut rng = Rng::with_seed(1);
    for subject in events.chain(messages) {
        let message = subject.message().expect("it is known");
        let mut taken = 0;
        for depth in 0..4 {
            let mut input = subject.line() + "\n";
            generate::object(&mut rng, message, depth, &mut input);
            taken += usize::from(run(&targets::PARSE, input.as_bytes()) == Outcome::Accepted);
        }
        let line = subject.line();
        assert!(taken > 0, "no {line} is taken: that tests nothing");
    }
}

/// Runs a target on its corpus, and on what comes out of it by small changes.
fn replay(target: &Target) {
    let seeds = seeds(target).expect("the corpus can be read");
    let mut inputs: Vec<_> = seeds.into_iter().map(|seed| seed.input).collect();
    for input in &inputs {
        run(target, input);
    }
    let (kept, mut taken) = (inputs.len(), 0);
    let mut rng = Rng::with_seed(kept as u64);
    for _ in 0..MUTATIONS {
        let from = rng.usize(..inputs.len());
        let input = (target.mutate)(&mut rng, &inputs[from]);
        taken += usize::from(run(target, &input) == Outcome::Accepted);
        // Changes add up.
        match inputs.get_mut(kept + rng.usize(..CHANGED)) {
            Some(place) => *place = input,
            None => inputs.push(input),
        }
    }
    let share = 100 * taken / MUTATIONS;
    assert!(
        (5..=95).contains(&share),
        "{share} % of the changed inputs are taken: most of the target is not tested"
    );
}

/// Runs a target, and says on which input if it fails.
fn run(target: &Target, input: &[u8]) -> Outcome {
    struct Said<'i>(&'static str, &'i [u8]);
    impl Drop for Said<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("{} fails on \"{}\"", self.0, self.1.escape_ascii());
            }
        }
    }
    let _said = Said(target.name, input);
    (target.run)(input)
}
