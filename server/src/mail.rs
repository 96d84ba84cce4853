//! Mail, by SMTP: plain text and simple HTML that say the same.

use std::{net::IpAddr, time::Duration};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::extension::ClientId,
};
use store::mails::Taken;

use crate::{Fatal, config::Config};

/// How long one step of sending may take.
const STEP: Duration = Duration::from_secs(20);
/// How long all of it may take: shorter than a mail is left to whoever took it.
const WHOLE: Duration = Duration::from_secs(40);

/// Sends mail.
#[derive(Clone, Debug)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    public_url: String,
    host: String,
}

/// Why a mail was not sent.
#[derive(Debug)]
pub struct NotSent {
    /// A sentence.
    pub sentence: String,
    /// Whether trying again may help.
    pub may_try: bool,
}

impl Mailer {
    /// As the environment says; none when mail is not set up.
    ///
    /// # Errors
    /// When what it says cannot be read. The address of the server is not repeated: a password may be
    /// in it.
    pub fn of(config: &Config, public_url: &str) -> Result<Option<Self>, Fatal> {
        let Some(url) = &config.smtp_url else { return Ok(None) };
        let from = config.mail_from.as_deref().ok_or_else(|| {
            Fatal::new(
                "mail",
                "BURSAR_SMTP_URL is set; set BURSAR_MAIL_FROM too, to the address mail comes from",
            )
        })?;
        let from = from.parse().map_err(|_| {
            Fatal::new("BURSAR_MAIL_FROM", "this is not an address like Bursar <bursar@acme.example>")
        })?;
        let host = host_of(public_url);
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.reveal()).map_err(|_| {
            Fatal::new("BURSAR_SMTP_URL", "this is not an address like smtps://user:password@mail.example")
        })?;
        let hello = match host.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => ClientId::Ipv4(address),
            Ok(IpAddr::V6(address)) => ClientId::Ipv6(address),
            Err(_) => ClientId::Domain(host.clone()),
        };
        let transport = builder.timeout(Some(STEP)).hello_name(hello).build();
        Ok(Some(Self { transport, from, public_url: public_url.to_owned(), host }))
    }

    /// Sends one mail.
    ///
    /// # Errors
    /// Why it was not sent.
    pub async fn send(&self, mail: &Taken) -> Result<(), NotSent> {
        let message = self.message(mail)?;
        match tokio::time::timeout(WHOLE, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
                let sentence = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
                Err(NotSent { sentence, may_try: !error.is_permanent() })
            }
            Err(_) => {
                let sentence = format!("The mail server did not take it within {} seconds.", WHOLE.as_secs());
                Err(NotSent { sentence, may_try: true })
            }
        }
    }

    fn message(&self, mail: &Taken) -> Result<Message, NotSent> {
        let unreadable = |error: &dyn std::fmt::Display| NotSent {
            sentence: format!("The mail cannot be written: {error}."),
            may_try: false,
        };
        let (name, address) = &mail.to;
        let address = address.parse().map_err(|error: lettre::address::AddressError| unreadable(&error))?;
        let mut message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(Some(name.clone()), address))
            // The same when it is sent once more: whoever reads it sees one mail.
            .message_id(Some(format!("<{}@{}>", mail.id, self.host)))
            .subject(mail.letter.subject.clone())
            .multipart(MultiPart::alternative_plain_html(
                mail.letter.plain(&self.public_url),
                mail.letter.html(&self.public_url),
            ))
            .map_err(|error| unreadable(&error))?;
        // Nobody's absence note should answer it.
        let name = HeaderName::new_from_ascii_str("Auto-Submitted");
        message.headers_mut().insert_raw(HeaderValue::new(name, "auto-generated".to_owned()));
        Ok(message)
    }
}

/// The host of an address, without its port.
fn host_of(url: &str) -> String {
    let uri = url.parse::<http::Uri>().ok();
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or("localhost");
    host.trim_matches(['[', ']']).to_owned()
}
