//! Bounds of notify: attempts, queues, and what the receivers allow.

use quorate_proto::Micros;

/// Bytes of a webhook's signing secret, as Standard Webhooks 1.0.0 sets them.
pub const WEBHOOK_SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// How far a wait between two attempts is spread, as a part of it: enough to break step, too little to be felt.
pub const RETRY_JITTER: f64 = 0.1;

/// The longest that a receiver's `Retry-After` puts off one delivery. Beyond it a receiver that asks for "tomorrow"
/// by mistake would silence its pages.
pub const RETRY_AFTER_MAX: Micros = Micros::from_secs(3600);

/// The longest that a receiver's `Retry-After` holds back a channel's *other* deliveries. A fresh page is worth one
/// request that may be refused a minute later.
pub const CHANNEL_PAUSE_MAX: Micros = Micros::from_secs(60);

/// How long a 429 without `Retry-After` holds a channel back: Slack's rate of one message a second.
pub const CHANNEL_PAUSE_DEFAULT: Micros = Micros::from_secs(1);

/// From one message to the next in a Slack channel. Slack takes about one a second and then answers 429.
pub const SLACK_PACE: Micros = Micros::from_millis(1050);

/// After this long without success, the first delivery that is taken brings forward those that wait: the receiver is
/// back, and nobody should wait hours for a page because of when it broke. Shorter troubles are left to the schedule,
/// so that a receiver which fails now and then does not use up a delivery's attempts.
pub const CHANNEL_TROUBLE_MIN: Micros = Micros::from_secs(60);

/// The time that one attempt has for everything: name, connection, TLS, request, answer. Standard Webhooks suggests
/// 15 to 30 s; a page that must arrive within 60 s cannot wait that long for its second attempt.
pub const DELIVERY_DEADLINE: Micros = Micros::from_secs(10);

/// The part of [`DELIVERY_DEADLINE`] that connecting may take.
pub const DELIVERY_CONNECT_DEADLINE: Micros = Micros::from_secs(5);

/// How long an error's body is waited for once its status is known.
pub const DELIVERY_BODY_DEADLINE: Micros = Micros::from_secs(1);

/// Bytes read of a receiver's answer, and only where it is an error: its first lines say what was wrong.
pub const DELIVERY_BODY_BYTES_MAX: usize = 4 * 1024;

/// Characters of a receiver's answer that are shown in a delivery's error.
pub const DELIVERY_EXCERPT_CHARS_MAX: usize = 200;

/// Deliveries of one channel that wait in memory. An outage of everything makes one alert a monitor; what does not
/// fit stays in the outbox and is asked for when there is room. At the largest body (20 kB) this is 20 MB a channel.
pub const CHANNEL_QUEUE_MAX: usize = 1000;

/// Deliveries of one channel that are sent at once: enough that one slow answer does not hold back other incidents,
/// little enough to be no burden on a small receiver.
pub const CHANNEL_IN_FLIGHT_MAX: usize = 4;

/// Finished deliveries that a channel remembers, so that a refill which crossed with their report does not send them
/// twice. More than a queue holds.
pub const CHANNEL_FINISHED_REMEMBERED_MAX: usize = 2 * CHANNEL_QUEUE_MAX;

/// How long after asking for a refill a channel waits for the first delivery that it had dropped.
pub const REFILL_PATIENCE: Micros = Micros::from_secs(10);

/// Reports that wait for the core. While there are as many, no attempt is begun: its outcome could not be told.
pub const REPORTS_WAITING_MAX: usize = 256;

/// What attempts under way get to end in when the program stops. With the rest of the stop it stays under a second.
pub const NOTIFY_DRAIN: Micros = Micros::from_millis(700);

/// Idle connections kept for each receiver: as many as may be in use at once.
pub const RECEIVER_IDLE_CONNECTIONS_MAX: usize = CHANNEL_IN_FLIGHT_MAX;

/// How long an idle connection to a receiver is kept: under the 60 s after which load balancers cut in silence.
pub const RECEIVER_IDLE: Micros = Micros::from_secs(30);

/// Bytes of a webhook's body, as Standard Webhooks 1.0.0 recommends ("under 20kb").
pub const WEBHOOK_BODY_BYTES_MAX: usize = 20_000;

/// Characters of a Slack header block (Slack's limit).
pub const SLACK_HEADER_CHARS_MAX: usize = 150;

/// Characters of a Slack section's text (Slack's limit is 3,000; one screen of a phone is plenty).
pub const SLACK_SECTION_CHARS_MAX: usize = 3000;

/// Fields of a Slack section (Slack's limit).
pub const SLACK_FIELDS_MAX: usize = 10;

/// Characters of one field (Slack's limit is 2,000; ten fields of that would pass [`SLACK_TEXT_CHARS_MAX`]).
pub const SLACK_FIELD_CHARS_MAX: usize = 300;

/// Characters of a Slack context line (Slack has no limit of its own for them).
pub const SLACK_CONTEXT_CHARS_MAX: usize = 1000;

/// Characters of the text that notifications show; the first line of a phone's lock screen matters.
pub const SLACK_FALLBACK_CHARS_MAX: usize = 500;

/// Characters of all text of a Slack message together (Slack's limit).
pub const SLACK_TEXT_CHARS_MAX: usize = 10_000;

const _: () = assert!(DELIVERY_CONNECT_DEADLINE.0 + DELIVERY_BODY_DEADLINE.0 < DELIVERY_DEADLINE.0);
const _: () = assert!(
    SLACK_HEADER_CHARS_MAX
        + SLACK_SECTION_CHARS_MAX
        + SLACK_FIELDS_MAX * SLACK_FIELD_CHARS_MAX
        + SLACK_CONTEXT_CHARS_MAX
        + SLACK_FALLBACK_CHARS_MAX
        < SLACK_TEXT_CHARS_MAX
);
