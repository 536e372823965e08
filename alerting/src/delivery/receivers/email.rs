//! E-mail over SMTP. `Message-ID` is made of the key, so that a mail that comes twice is one mail to a reader that looks, and
//! all mails of an incident are one thread. TLS is verified; without TLS only to this machine.

use std::time::{Duration, UNIX_EPOCH};

use keywatch_store::Instant;
use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use tokio::time::timeout;

use crate::delivery::guard::AddressRules;
use crate::delivery::http::refused;
use crate::delivery::message::{Notification, headline, render};
use crate::delivery::pace::Pace;
use crate::delivery::sink::{Attempt, Sink};
use crate::delivery::webhook::WallClock;
use crate::error::{Error, Fate};
use crate::limits::ATTEMPT_SECONDS_MAX;

const SUBJECT_CHARS_MAX: usize = 200;

/// How a connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SmtpTls {
    /// From its first byte, usually port 465.
    #[default]
    Implicit,
    /// After `STARTTLS`, usually port 587. A server that does not offer it gets nothing.
    StartTls,
    /// Not at all: this machine only.
    None,
}

/// How it is configured.
#[derive(Clone)]
pub struct EmailSettings {
    /// Name of the receiver.
    pub name: String,
    /// Host of the SMTP server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: SmtpTls,
    /// Name and password, where it asks for them.
    pub credentials: Option<(String, String)>,
    /// Who it is from.
    pub from: String,
    /// Who it is to.
    pub to: Vec<String>,
    /// Where it may be.
    pub addresses: AddressRules,
    /// What it stands.
    pub pace: Pace,
}

/// The sink.
pub struct Email {
    settings: EmailSettings,
    mailboxes: Mailboxes,
    clock: WallClock,
}

/// From whom to whom.
#[derive(Clone, Debug)]
pub struct Mailboxes {
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Mailboxes {
    /// Reads `Name <user@host>` or `user@host`.
    ///
    /// # Errors
    /// Which one is none.
    pub fn parse(from: &str, to: &[String]) -> Result<Mailboxes, String> {
        let mailbox = |text: &str| text.parse::<Mailbox>().map_err(|error| format!("`{text}` is no mailbox: {error}"));
        let to: Vec<Mailbox> = to.iter().map(|text| mailbox(text)).collect::<Result<_, String>>()?;
        if to.is_empty() {
            return Err("to: names nobody".to_owned());
        }
        Ok(Mailboxes { from: mailbox(from)?, to })
    }
}

impl Email {
    /// Reads the addresses; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Destination`] for a mailbox that is none, and for a server elsewhere without TLS.
    pub fn new(settings: EmailSettings, clock: WallClock) -> Result<Email, Error> {
        let mailboxes =
            Mailboxes::parse(&settings.from, &settings.to).map_err(|problem| refused(&settings.name, problem))?;
        let host = settings.host.as_str();
        let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|host| host.is_loopback());
        if settings.tls == SmtpTls::None && !here {
            return Err(refused(
                &settings.name,
                "smtp_tls: `none` is for this machine only; write implicit or starttls",
            ));
        }
        Ok(Email { settings, mailboxes, clock })
    }

    async fn send(&self, notification: &Notification) -> Result<(), Error> {
        let undelivered =
            |problem: String, fate: Fate| Error::Undelivered { destination: self.settings.name.clone(), problem, fate };
        let mail = mail(notification, &self.mailboxes, (self.clock)()).map_err(|p| undelivered(p, Fate::Dead))?;
        match timeout(Duration::from_secs(ATTEMPT_SECONDS_MAX), self.hand_over(&mail)).await {
            Ok(handed) => handed.map_err(|(problem, fate)| undelivered(problem, fate)),
            Err(_) => Err(undelivered("no answer in time".to_owned(), Fate::Retry(None))),
        }
    }

    async fn hand_over(&self, mail: &Message) -> Result<(), (String, Fate)> {
        let EmailSettings { host, port, tls, credentials, .. } = &self.settings;
        let addresses = self.settings.addresses.resolve(host, *port).await;
        let addresses = addresses.map_err(|error| (error.to_string(), Fate::Retry(None)))?;
        let parameters = || TlsParameters::new(host.clone()).map_err(|error| meaning(&error));
        let hello = ClientId::Domain("keywatch".to_owned());
        let implicit = if *tls == SmtpTls::Implicit { Some(parameters()?) } else { None };
        let limit = Some(Duration::from_secs(ATTEMPT_SECONDS_MAX));
        let connecting = AsyncSmtpConnection::connect_tokio1(addresses.as_slice(), limit, &hello, implicit, None);
        let mut connection = connecting.await.map_err(|error| meaning(&error))?;
        if *tls == SmtpTls::StartTls {
            // Fails where the server does not offer it: somebody in between may have taken the offer out.
            connection.starttls(parameters()?, &hello).await.map_err(|error| meaning(&error))?;
        }
        if let Some((user, password)) = credentials {
            let credentials = Credentials::new(user.clone(), password.clone());
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            connection.auth(&mechanisms, &credentials).await.map_err(|error| meaning(&error))?;
        }
        connection.send(mail.envelope(), &mail.formatted()).await.map_err(|error| meaning(&error))?;
        // It is taken; how the farewell goes does not matter.
        let _ = connection.quit().await;
        Ok(())
    }
}

impl Sink for Email {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn deliveries_max(&self) -> usize {
        2
    }

    fn pace(&self) -> Pace {
        self.settings.pace
    }

    fn deliver<'a>(&'a self, notification: &'a Notification) -> Attempt<'a> {
        Box::pin(self.send(notification))
    }
}

/// 5xx is final, all else is worth another try.
fn meaning(error: &lettre::transport::smtp::Error) -> (String, Fate) {
    let mut said = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        said = format!("{said}: {source}");
    }
    (said, if error.is_permanent() { Fate::Dead } else { Fate::Retry(None) })
}

/// The mail of a notification, dated `now`.
///
/// # Errors
/// What of it cannot stand in a mail.
pub fn mail(notification: &Notification, mailboxes: &Mailboxes, now: Instant) -> Result<Message, String> {
    let n = notification;
    let domain = mailboxes.from.email.domain();
    let seconds = u64::try_from(now.unix_seconds()).unwrap_or(0);
    let first = n.pages.first().map_or(&n.key, |page| &page.key);
    let thread = format!("<{first}@{domain}>");
    let id = format!("<{}@{domain}>", n.key);
    let subject: String = format!("[keywatch] {}", headline(n)).chars().take(SUBJECT_CHARS_MAX).collect();
    let mut builder = Message::builder()
        .from(mailboxes.from.clone())
        .date(UNIX_EPOCH + Duration::from_secs(seconds))
        .message_id(Some(id.clone()))
        .subject(subject)
        .header(ContentType::TEXT_PLAIN);
    for to in &mailboxes.to {
        builder = builder.to(to.clone());
    }
    if thread != id {
        builder = builder.in_reply_to(thread.clone()).references(thread);
    }
    builder.body(render(n)).map_err(|error| error.to_string())
}
