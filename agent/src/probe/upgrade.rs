//! The HTTP upgrade, done by hand: the WebSocket library's own handshake takes legal answers for wrong ones (a
//! `Connection` list), wrong ones for right ones (an extension nobody asked for), and loses the body of a refusal.

use std::io;

use quorate_proto::{
    Failure, FailureKind, limits as protocol,
    outcome::{UpgradeFault, UpgradeRefusal},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{
    answer::{self, Answer, Parsed},
    classify,
    plan::Plan,
    progress::Progress,
    quote, refusal,
    request::random_key,
    transport::Transport,
};
use crate::limits;

/// Asks for the upgrade and verifies the answer. Gives the bytes that came behind it: they are the first frames. Takes as
/// long as it takes: the caller has the deadline.
pub(crate) async fn upgrade(
    transport: &mut Transport,
    plan: &Plan,
    progress: &mut Progress,
) -> Result<Vec<u8>, Failure> {
    let Some(key) = random_key() else {
        return Err(progress.fail((FailureKind::AgentFault, "the system gave no random bytes".to_owned())));
    };
    send(transport, &plan.request.with_key(&key))
        .await
        .map_err(|error| progress.fail(classify::stream(&error)))?;
    let mut bytes = Vec::new();
    let answer = read_answer(transport, &mut bytes, progress).await?;
    progress.facts.status = Some(answer.status);
    progress.facts.server = answer.server();
    if answer.status != 101 {
        // The status alone decides: where the deadline comes before the rest of the body, that is the failure all the same.
        progress.settle(refused(progress, refusal(&answer, &bytes)));
        read_body(transport, &answer, &mut bytes).await;
        return Err(refused(progress, refusal(&answer, &bytes)));
    }
    let accept = derive_accept_key(key.as_bytes());
    let chosen = answer.verify(&accept, &plan.offered).map_err(|fault| invalid(progress, fault))?;
    progress.facts.subprotocol = chosen;
    Ok(bytes)
}

async fn send(transport: &mut Transport, request: &[u8]) -> io::Result<()> {
    transport.write_all(request).await?;
    transport.flush().await
}

/// Reads heads until a final one, and leaves in `bytes` what came behind it.
async fn read_answer(
    transport: &mut Transport,
    bytes: &mut Vec<u8>,
    progress: &mut Progress,
) -> Result<Answer, Failure> {
    let mut interim = 0;
    loop {
        match answer::parse(bytes).map_err(|fault| invalid(progress, fault))? {
            Parsed::Whole(answer, length) => {
                bytes.drain(..length);
                let is_interim = (100..200).contains(&answer.status) && answer.status != 101;
                if !is_interim {
                    return Ok(answer);
                }
                interim += 1;
                if interim > limits::INTERIM_RESPONSES_MAX {
                    let detail =
                        format!("{interim} interim responses came, the last of status {}", answer.status);
                    return Err(invalid(progress, (UpgradeFault::NotHttp, detail)));
                }
            }
            Parsed::Partial if bytes.len() >= limits::UPGRADE_HEAD_BYTES_MAX => {
                let detail = format!("{} bytes of an answer came, and not the end of its head", bytes.len());
                return Err(invalid(progress, (UpgradeFault::HeadTooLarge, detail)));
            }
            Parsed::Partial => {
                if !bytes.is_empty() {
                    progress.wait_for(format!(
                        "{} bytes of an answer came, and not the end of its head",
                        bytes.len()
                    ));
                }
                read_more(transport, bytes, progress).await?;
            }
        }
    }
}

async fn read_more(
    transport: &mut Transport,
    bytes: &mut Vec<u8>,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let mut chunk = [0; 2048];
    let count = match transport.read(&mut chunk).await {
        Ok(count) => count,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
        Err(error) => {
            let (kind, detail) = classify::stream(&error);
            return Err(progress.fail((kind, format!("{detail}, instead of an answer to the upgrade"))));
        }
    };
    if count == 0 {
        let detail = match bytes.len() {
            0 => "no answer came before the end".to_owned(),
            count => {
                format!("{count} bytes of an answer came before the end")
            }
        };
        return Err(progress.fail((FailureKind::Dropped, detail)));
    }
    bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
    Ok(())
}

fn invalid(progress: &Progress, (fault, detail): answer::Fault) -> Failure {
    progress.fail((FailureKind::UpgradeInvalid(fault), detail))
}

/// Reads the first bytes of the body of a refusal, as far as they come soon.
async fn read_body(transport: &mut Transport, answer: &Answer, body: &mut Vec<u8>) {
    // A chunked body carries its chunks' sizes besides.
    let wanted = answer.body_bytes().unwrap_or(usize::MAX).min(protocol::BODY_EXCERPT_BYTES_MAX + 64);
    let reading = async {
        let mut chunk = [0; 512];
        while body.len() < wanted {
            match transport.read(&mut chunk).await {
                Ok(count) if count > 0 => body.extend_from_slice(chunk.get(..count).unwrap_or_default()),
                _ => break,
            }
        }
    };
    // Whatever has come by then is what is shown.
    let _ = timeout(limits::REFUSAL_BODY_WAIT.into(), reading).await;
    body.truncate(wanted);
}

/// What a refusal said, as far as it came.
fn refusal(answer: &Answer, body: &[u8]) -> UpgradeRefusal {
    let joined = if answer.is_chunked() { &answer::unchunked(body) } else { body };
    UpgradeRefusal {
        headers: refusal::headers(answer.headers()),
        status: answer.status,
        server: answer.server(),
        body: quote::block(joined, protocol::BODY_EXCERPT_BYTES_MAX),
    }
}

fn refused(progress: &Progress, refusal: UpgradeRefusal) -> Failure {
    let by = refusal.server.as_ref().map(|server| format!("Server: {server}"));
    let said = refusal.body.lines().map(str::trim).find(|line| !line.is_empty());
    let said = said.map(|line| format!("the body begins: {}", quote::quote(line)));
    let parts: Vec<_> = by.into_iter().chain(said).collect();
    let detail = if parts.is_empty() { "no Server header and no body".to_owned() } else { parts.join("; ") };
    let mut failure = progress.fail((FailureKind::UpgradeStatus(refusal.status), detail));
    failure.refusal = Some(refusal);
    failure
}
