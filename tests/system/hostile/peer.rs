//! The server's side of a hostile behaviour: blocking sockets on threads of their own, so that nothing of it is measured
//! and nothing of it takes the probe's turn.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use rustls::{ServerConnection, StreamOwned};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// What a server does with one connection. An error ends it, as the client's going away does.
pub(crate) type Play = fn(&mut Peer) -> io::Result<()>;

/// The head that every request has a right to, up to its empty line.
const RIGHT: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: DIGEST\r\n";

/// One connection, seen from the server.
pub(crate) struct Peer {
    wire: Wire,
    over: Arc<Over>,
    digest: String,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

/// Whether the check that a server is for has ended.
#[derive(Default)]
struct Over {
    ended: Mutex<bool>,
    changed: Condvar,
}

/// A listening server. Its connections end with it.
pub(crate) struct Server {
    over: Arc<Over>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Serves everyone who connects, behind TLS where `tls` is given.
    pub(crate) fn start(play: Play, tls: Option<Arc<rustls::ServerConfig>>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let over = Arc::new(Over::default());
        let watched = over.clone();
        thread::spawn(move || {
            for tcp in listener.incoming() {
                if watched.has_ended() {
                    return;
                }
                let (over, tls) = (watched.clone(), tls.clone());
                thread::spawn(move || {
                    // That the client goes away is how most of them end.
                    drop(tcp.and_then(|tcp| Peer::new(tcp, tls, over)).and_then(|mut peer| play(&mut peer)));
                });
            }
        });
        Ok(Self { over, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        *self.over.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.over.changed.notify_all();
        // The listener waits for somebody to say so.
        drop(TcpStream::connect(self.address));
    }
}

impl Over {
    fn has_ended(&self) -> bool {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(ended, |ended| !*ended));
    }

    /// Waits for a while, and says whether the check goes on.
    fn pause(&self, span: Duration) -> bool {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let (ended, _) = self
            .changed
            .wait_timeout_while(ended, span, |ended| !*ended)
            .unwrap_or_else(PoisonError::into_inner);
        !*ended
    }
}

impl Peer {
    fn new(tcp: TcpStream, tls: Option<Arc<rustls::ServerConfig>>, over: Arc<Over>) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        let wire = match tls {
            None => Wire::Plain(tcp),
            Some(tls) => {
                let connection = ServerConnection::new(tls).map_err(io::Error::other)?;
                Wire::Tls(Box::new(StreamOwned::new(connection, tcp)))
            }
        };
        Ok(Self { wire, over, digest: String::new() })
    }

    /// The TCP connection under it all.
    pub(crate) fn tcp(&mut self) -> &mut TcpStream {
        match &mut self.wire {
            Wire::Plain(tcp) => tcp,
            Wire::Tls(stream) => &mut stream.sock,
        }
    }

    /// Ends the TLS handshake and hands both out, for what TLS' own library would not do.
    pub(crate) fn finish_tls(&mut self) -> io::Result<(ServerConnection, TcpStream)> {
        let tcp = self.tcp().try_clone()?;
        let Wire::Tls(stream) = std::mem::replace(&mut self.wire, Wire::Plain(tcp)) else {
            return Err(io::Error::other("this server has no TLS"));
        };
        let StreamOwned { mut conn, mut sock } = *stream;
        while conn.is_handshaking() || conn.wants_write() {
            conn.complete_io(&mut sock)?;
        }
        Ok((conn, sock))
    }

    /// Reads a request's head.
    pub(crate) fn head(&mut self) -> io::Result<()> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.read_exact(&mut byte)?;
            head.extend(byte);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let key = lines.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
        self.digest = derive_accept_key(key.map_or("", |(_, key)| key).as_bytes());
        Ok(())
    }

    /// Reads a request's head and writes an answer, in which `RIGHT` becomes a right one's lines and `DIGEST` its digest.
    pub(crate) fn answer(&mut self, answer: &str) -> io::Result<()> {
        self.head()?;
        let answer = answer.replace("RIGHT", RIGHT).replace("DIGEST", &self.digest);
        self.say(answer.as_bytes())
    }

    /// Completes the upgrade and says more in the same packet.
    pub(crate) fn say_with_upgrade(&mut self, bytes: &[u8]) -> io::Result<()> {
        let answer = RIGHT.replace("DIGEST", &self.digest) + "\r\n";
        self.say([answer.as_bytes(), bytes].concat())
    }

    /// Completes the upgrade as it should be.
    pub(crate) fn upgrade(&mut self) -> io::Result<()> {
        self.answer("RIGHT\r\n")
    }

    /// Writes bytes.
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.write_all(bytes.as_ref())?;
        self.flush()
    }

    /// Writes the same bytes for ever.
    pub(crate) fn flood(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        // In large pieces, so that the flood is as fast as the wire.
        let bytes = bytes.as_ref();
        let piece = bytes.repeat((64 * 1024 / bytes.len()).max(1));
        while !self.over.has_ended() {
            self.write_all(&piece)?;
        }
        Ok(())
    }

    /// Writes bytes one by one, slowly, over and over.
    pub(crate) fn drip(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        for byte in bytes.as_ref().iter().cycle() {
            self.say([*byte])?;
            if !self.over.pause(Duration::from_millis(2)) {
                break;
            }
        }
        Ok(())
    }

    /// Waits until the client has sent something.
    pub(crate) fn hear(&mut self) -> io::Result<()> {
        self.read(&mut [0; 16 * 1024]).map(|_| ())
    }

    /// Reads until the client goes away, and says nothing.
    pub(crate) fn hold(&mut self) -> io::Result<()> {
        while self.read(&mut [0; 16 * 1024])? > 0 {}
        Ok(())
    }

    /// Neither reads nor writes until the check has ended.
    pub(crate) fn sit(&mut self) -> io::Result<()> {
        self.over.wait();
        Ok(())
    }

    /// Ends our direction of the connection and keeps the other.
    pub(crate) fn half_close(&mut self) -> io::Result<()> {
        self.tcp().shutdown(std::net::Shutdown::Write)
    }

    /// Resets the connection.
    pub(crate) fn reset(&mut self) -> io::Result<()> {
        let tcp = self.tcp().try_clone()?;
        socket2::SockRef::from(&tcp).set_linger(Some(Duration::ZERO))
    }

    /// Upgrades, writes, and reads until the client goes away.
    pub(crate) fn upgrade_and_say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.upgrade()?;
        self.say(bytes)?;
        self.hold()
    }

    /// Answers the request and reads until the client goes away.
    pub(crate) fn answer_and_hold(&mut self, answer: &str) -> io::Result<()> {
        self.answer(answer)?;
        self.hold()
    }

    /// Upgrades and writes the same for ever.
    pub(crate) fn upgrade_and_flood(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.upgrade()?;
        self.flood(bytes)
    }
}

impl Read for Peer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.wire {
            Wire::Plain(tcp) => tcp.read(buffer),
            Wire::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.wire {
            Wire::Plain(tcp) => tcp.write(bytes),
            Wire::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.wire {
            Wire::Plain(tcp) => tcp.flush(),
            Wire::Tls(stream) => stream.flush(),
        }
    }
}

/// A frame of a server: first byte and payload, its length in the shortest form.
pub(crate) fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut frame = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..126), _) => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// A text message.
pub(crate) fn text(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(0x81, payload)
}

/// A close frame.
pub(crate) fn close(code: u16, reason: impl AsRef<[u8]>) -> Vec<u8> {
    frame(0x88, [&code.to_be_bytes(), reason.as_ref()].concat())
}
