//! Dialogues out of a protocol's documentation, for protocols of which no server can be had here.
//!
//! A dialogue is a list of what a client says and what the server answers, as the documentation prints them; where both
//! carry something that the client chooses, it is written `<…>`, and the server repeats what came.

use std::{net::Ipv4Addr, thread};

use anyhow::Result;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{net::TcpListener, runtime};
use tokio_tungstenite::{accept_async, tungstenite::Message};

/// One message of the client, and what the server answers.
pub(crate) struct Turn {
    pub(crate) said: &'static str,
    pub(crate) answers: &'static [&'static str],
}

/// Plays the server's side on a thread of its own, to every client that comes, as long as the process lives.
pub(crate) fn play(port: u16, turns: &'static [Turn]) -> Result<()> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || runtime.block_on(accept(listener, turns)));
    Ok(())
}

async fn accept(listener: std::net::TcpListener, turns: &'static [Turn]) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream, turns));
    }
}

async fn serve(stream: tokio::net::TcpStream, turns: &'static [Turn]) -> Result<()> {
    let mut socket = accept_async(stream).await?;
    while let Some(message) = socket.next().await {
        let Message::Text(said) = message? else { continue };
        let answers = turns.iter().find_map(|turn| Some((turn.answers, chosen(turn.said, &said)?)));
        // What the documentation does not have is not answered.
        let Some((answers, chosen)) = answers else { continue };
        for answer in answers {
            socket.send(Message::text(answer.replace(CHOSEN, &chosen))).await?;
        }
    }
    Ok(())
}

/// What stands for something that the client chooses.
const CHOSEN: &str = "<…>";

/// What the client chose, where it said this.
fn chosen(template: &str, said: &str) -> Option<String> {
    let Some((before, after)) = template.split_once(CHOSEN) else {
        return (template == said).then(String::new);
    };
    said.strip_prefix(before)?.strip_suffix(after).map(ToOwned::to_owned)
}
