//! Somebody who looks at pages: one connection, a cookie, and a watch.
//!
//! Just enough of HTTP for our own server on this machine. What is timed is from the first byte
//! asked to the last byte answered on a connection that stands already: the server's time, and
//! some tens of microseconds of loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::outcome::{Outcome, Trying, fail};

/// What came back.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    pub time: Duration,
}

/// Somebody with a browser that does nothing but ask.
pub struct Visitor {
    host: String,
    connection: BufReader<TcpStream>,
    cookie: Option<String>,
}

impl Visitor {
    /// Connects to a server's address: `http://127.0.0.1:3000`.
    pub fn to(base: &str) -> Outcome<Visitor> {
        let host = base.strip_prefix("http://").unwrap_or(base).trim_end_matches('/').to_owned();
        let stream = TcpStream::connect(&host).trying(format!("Cannot connect to {host}"))?;
        stream.set_nodelay(true).trying("A socket")?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).trying("A socket")?;
        Ok(Visitor { host, connection: BufReader::new(stream), cookie: None })
    }

    /// Signs in.
    pub fn sign_in(&mut self, email: &str, password: &str) -> Outcome {
        let body = format!("email={}&password={}", email.replace('@', "%40"), password);
        let answer = self.post("/console/accounts/sign-in", &body)?;
        match (answer.status, &self.cookie) {
            (200, Some(_)) => Ok(()),
            (status, _) => fail(format!("{email} could not sign in: status {status}.")),
        }
    }

    /// Sends a form, as the console's script does.
    pub fn post(&mut self, path: &str, body: &str) -> Outcome<Answer> {
        let form = "content-type: application/x-www-form-urlencoded\r\nsec-fetch-site: same-origin\r\n";
        self.ask("POST", path, form, body)
    }

    /// Asks for a page.
    pub fn get(&mut self, path: &str) -> Outcome<Answer> {
        self.ask("GET", path, "accept: text/html\r\n", "")
    }

    fn ask(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Outcome<Answer> {
        let cookie = self.cookie.as_ref().map(|cookie| format!("cookie: {cookie}\r\n")).unwrap_or_default();
        let host = &self.host;
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\n{cookie}{headers}content-length: {length}\r\n\r\n{body}"
        );
        let begun = Instant::now();
        self.connection.get_mut().write_all(request.as_bytes()).trying(format!("Cannot ask for {path}"))?;
        let (status, length) = self.head()?;
        let body = match length {
            Some(length) => self.exactly(length)?,
            None => self.chunks()?,
        };
        Ok(Answer { status, body, time: begun.elapsed() })
    }

    /// The status, and the body's length unless it comes in chunks.
    fn head(&mut self) -> Outcome<(u16, Option<usize>)> {
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let Some(status) = status else { return fail(format!("This is no answer: {first}")) };
        let mut length = Some(0);
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok((status, length));
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().ok(),
                "transfer-encoding" => length = None,
                "set-cookie" if value.starts_with("bursar=") => {
                    self.cookie = value.split(';').next().map(str::to_owned);
                }
                _ => {}
            }
        }
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        let read = self.connection.read_line(&mut line).trying("The answer broke off")?;
        if read == 0 {
            return fail("The server closed the connection.");
        }
        Ok(line.trim_end().to_owned())
    }

    fn exactly(&mut self, length: usize) -> Outcome<Vec<u8>> {
        let mut body = vec![0; length];
        self.connection.read_exact(&mut body).trying("The answer broke off")?;
        Ok(body)
    }

    fn chunks(&mut self) -> Outcome<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let length = usize::from_str_radix(&line, 16).trying("A chunk without a length")?;
            let mut chunk = self.exactly(length + 2)?;
            if length == 0 {
                return Ok(body);
            }
            chunk.truncate(length);
            body.extend(chunk);
        }
    }
}
