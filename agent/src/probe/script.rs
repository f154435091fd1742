//! What is said and expected on the connections of one monitor, made ready once: whatever can be wrong with it is found here,
//! and whatever can be compiled is.

use quorate_proto::{
    Micros, MonitorSpec, Payload, Step,
    step::{Capture, CaptureFrom, Demand, Expect, Must, Stream},
    template::{self, Place},
};
use regex_lite::Regex;

use super::{
    conversation::Memory,
    matcher::{PatternError, Wanted, checked_pointer, regex},
    plan::PlanError,
};

/// What is said and expected on the connections of one monitor. Shared by all of them.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) hello: Vec<Act>,
    pub(crate) steps: Vec<Act>,
    pub(crate) replies: Vec<Answer>,
    /// Round trips of one check.
    pub(crate) samples: u16,
    /// How many demands look at what came before on the connection.
    pub(crate) follows: usize,
    /// What checks and canaries remember of the ones before them.
    pub(crate) memory: Memory,
}

/// One step, ready.
#[derive(Debug)]
pub(crate) enum Act {
    Send(Payload),
    Expect(Awaited),
    Stream(Flow),
    Ping { within: Option<Micros> },
}

/// A message that is waited for.
#[derive(Debug)]
pub(crate) struct Awaited {
    pub(crate) wanted: Wanted,
    pub(crate) within: Option<Micros>,
    pub(crate) takings: Vec<Taking>,
    pub(crate) requirements: Vec<Requirement>,
}

/// A stream that is listened to.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) wanted: Wanted,
    pub(crate) every: Micros,
    pub(crate) messages: u32,
    pub(crate) requirements: Vec<Requirement>,
}

/// Something taken from a message for later texts.
#[derive(Debug)]
pub(crate) struct Taking {
    pub(crate) name: String,
    pub(crate) from: TakenFrom,
}

/// Where it is taken from.
#[derive(Debug)]
pub(crate) enum TakenFrom {
    /// A JSON pointer, which may have placeholders.
    Json(String),
    /// A regular expression, compiled where it has no placeholders.
    Regex { pattern: String, compiled: Option<Regex> },
}

/// What must be true of a value in a message.
#[derive(Debug)]
pub(crate) struct Requirement {
    /// A JSON pointer, which may have placeholders.
    pub(crate) pointer: String,
    pub(crate) rule: Rule,
}

/// What the value must do; `place` is where what is remembered of it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    Grow { within: Micros, place: usize },
    Follow { place: usize },
    BeFresh { age: Micros },
}

/// What is answered to messages of some kind, whenever they come.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) to: Wanted,
    pub(crate) with: Payload,
}

impl Script {
    pub(crate) fn new(spec: &MonitorSpec) -> Result<Self, PlanError> {
        if let Some((place, error)) =
            template::faults(&spec.hello, &spec.steps, &spec.replies).into_iter().next()
        {
            return Err(PlanError::Template { place, error });
        }
        let mut places = Places::default();
        let mut acts = |steps: &[Step], place: fn(usize) -> Place| -> Result<Vec<Act>, PlanError> {
            let act = |(index, step)| {
                let act = places.act(step);
                act.map_err(|error| PlanError::Pattern { place: place(index), error })
            };
            steps.iter().enumerate().map(act).collect()
        };
        let hello = acts(&spec.hello, Place::Hello)?;
        let steps = acts(&spec.steps, Place::Step)?;
        let replies = spec.replies.iter().enumerate().map(|(index, reply)| {
            let to = Wanted::new(&reply.to)
                .map_err(|error| PlanError::Pattern { place: Place::Reply(index), error })?;
            Ok(Answer { to, with: reply.with.clone() })
        });
        Ok(Self {
            hello,
            steps,
            replies: replies.collect::<Result<_, PlanError>>()?,
            samples: spec.samples,
            follows: places.follows,
            memory: Memory::new(places.grows),
        })
    }

    /// Whether nothing is said and nothing expected.
    pub(crate) fn is_empty(&self) -> bool {
        self.hello.is_empty() && self.steps.is_empty()
    }
}

/// Gives each demand that remembers something its place.
#[derive(Default)]
struct Places {
    grows: usize,
    follows: usize,
}

impl Places {
    fn act(&mut self, step: &Step) -> Result<Act, PatternError> {
        Ok(match step {
            Step::Send(payload) => Act::Send(payload.clone()),
            Step::Ping { within } => Act::Ping { within: *within },
            Step::Expect(Expect { matcher, within, captures, demands }) => Act::Expect(Awaited {
                wanted: Wanted::new(matcher)?,
                within: *within,
                takings: captures.iter().map(taking).collect::<Result<_, _>>()?,
                requirements: self.requirements(demands)?,
            }),
            Step::Stream(Stream { matcher, every, messages, demands }) => Act::Stream(Flow {
                wanted: Wanted::new(matcher)?,
                every: *every,
                messages: u32::from(*messages),
                requirements: self.requirements(demands)?,
            }),
        })
    }

    fn requirements(&mut self, demands: &[Demand]) -> Result<Vec<Requirement>, PatternError> {
        let requirement = |Demand { pointer, must }: &Demand| {
            checked_pointer(template::sample(pointer).into())?;
            let place = |count: &mut usize| {
                *count += 1;
                *count - 1
            };
            let rule = match *must {
                Must::Grow { within } => Rule::Grow { within, place: place(&mut self.grows) },
                Must::Follow => Rule::Follow { place: place(&mut self.follows) },
                Must::BeFresh { age } => Rule::BeFresh { age },
            };
            Ok(Requirement { pointer: pointer.clone(), rule })
        };
        demands.iter().map(requirement).collect()
    }
}

/// Makes a capture ready.
pub(crate) fn taking(capture: &Capture) -> Result<Taking, PatternError> {
    let from = match &capture.from {
        CaptureFrom::Json(pointer) => {
            checked_pointer(template::sample(pointer).into())?;
            TakenFrom::Json(pointer.clone())
        }
        CaptureFrom::Regex(pattern) => {
            let compiled = regex(pattern, &template::sample(pattern))?;
            let has_placeholders = template::placeholders(pattern).next().is_some();
            TakenFrom::Regex {
                pattern: pattern.clone(),
                compiled: Some(compiled).filter(|_| !has_placeholders),
            }
        }
    };
    Ok(Taking { name: capture.name.clone(), from })
}
