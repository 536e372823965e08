//! Titles and bodies in the operator's own words: text with `{name}` where a part of the notification is put in, and `{{` and
//! `}}` for braces. What is put in is never looked at for names again, so that nobody can write one into a finding. A name that
//! does not exist is refused when the template is read.

use std::sync::Arc;

use crate::delivery::message::Notification;
use crate::delivery::pace::Pace;
use crate::delivery::sink::{Attempt, Sink};
use crate::limits::{NOTIFICATION_TEXT_CHARS_MAX, TEMPLATE_BYTES_MAX};

/// Parts that every notification has.
const PARTS: [&str; 14] = [
    "severity", "system", "when", "title", "rule", "entity", "incident", "alert", "again", "story", "meaning",
    "runbook", "did", "evidence",
];

/// Whom and what it is about; empty where a notification does not say.
const ABOUT: [&str; 8] = ["actor", "device", "wallet", "request", "tx", "amount", "to", "session"];

/// A template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Part(&'static str),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it: a name that does not exist, a brace without its other.
    pub fn parse(text: &str) -> Result<Template, String> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(format!("it is longer than {TEMPLATE_BYTES_MAX} bytes"));
        }
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
                plain.push_str(&rest[..1]);
                rest = after;
                continue;
            }
            let named = rest.strip_prefix('{').ok_or("a `}` without `{`; write `}}` for a brace")?;
            let (name, after) = named.split_once('}').ok_or("a `{` without `}`; write `{{` for a brace")?;
            let part = PARTS.into_iter().chain(ABOUT).find(|part| *part == name).ok_or_else(|| {
                let known: Vec<&str> = PARTS.into_iter().chain(ABOUT).collect();
                format!("there is no `{{{name}}}`; there are {}", known.join(", "))
            })?;
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
            pieces.push(Piece::Part(part));
            rest = after;
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        Ok(Template(pieces))
    }

    /// The text for a notification, whose parts are harmless already.
    #[must_use]
    pub fn render(&self, notification: &Notification) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Part(part) => said(part, notification),
        };
        self.0.iter().map(piece).collect()
    }
}

fn said(part: &str, n: &Notification) -> String {
    match part {
        "severity" => n.severity.to_string(),
        "system" => n.system.clone(),
        "when" => n.when.to_string(),
        "title" => n.title.clone(),
        "rule" => n.rule.clone(),
        "entity" => n.entity.clone(),
        "incident" => n.incident.clone(),
        "alert" => n.alert_id.clone(),
        "again" => n.again.join("; "),
        "story" => n.story.join("\n"),
        "meaning" => n.meaning.clone(),
        "runbook" => n.runbook.clone(),
        "did" => n.did.join("\n"),
        "evidence" => n.evidence.join("\n"),
        about => n.about.get(about).cloned().unwrap_or_default(),
    }
}

/// A receiver that is told in the operator's own words.
pub struct Templated {
    sink: Arc<dyn Sink>,
    title: Option<Template>,
    body: Option<Template>,
}

impl Templated {
    /// `sink`, with these in place of title and text; it stays as it is where there is neither.
    #[must_use]
    pub fn over(sink: Arc<dyn Sink>, title: Option<Template>, body: Option<Template>) -> Arc<dyn Sink> {
        if title.is_none() && body.is_none() { sink } else { Arc::new(Templated { sink, title, body }) }
    }

    fn told(&self, notification: &Notification) -> Notification {
        let mut told = notification.clone();
        if let Some(title) = &self.title {
            let title = title.render(notification).replace('\n', " ");
            told.title = title.chars().take(NOTIFICATION_TEXT_CHARS_MAX).collect();
        }
        if let Some(body) = &self.body {
            told.text = Some(body.render(notification).chars().take(NOTIFICATION_TEXT_CHARS_MAX).collect());
        }
        told
    }
}

impl Sink for Templated {
    fn name(&self) -> &str {
        self.sink.name()
    }

    fn deliveries_max(&self) -> usize {
        self.sink.deliveries_max()
    }

    fn pace(&self) -> Pace {
        self.sink.pace()
    }

    fn repeats(&self) -> bool {
        self.sink.repeats()
    }

    fn repeat<'a>(&'a self, standing: &'a [Notification]) -> Attempt<'a> {
        Box::pin(async move {
            let told: Vec<Notification> = standing.iter().map(|notification| self.told(notification)).collect();
            self.sink.repeat(&told).await
        })
    }

    fn deliver<'a>(&'a self, notification: &'a Notification) -> Attempt<'a> {
        Box::pin(async move { self.sink.deliver(&self.told(notification)).await })
    }
}

#[cfg(test)]
mod tests {
    use keywatch_store::{Instant, Severity};

    use super::*;
    use crate::delivery::message::render;
    use crate::delivery::trial;

    fn notification() -> Notification {
        let mut notification = trial::notification("chat", Severity::High, Instant(0), false);
        notification.title = "a {wallet}".into();
        notification.about.insert("wallet", "0xa1 {title}".into());
        notification
    }

    #[test]
    fn parts_are_put_in_once_and_what_is_put_in_is_no_template() {
        let template = Template::parse("{{{severity}}} {title} of {wallet}{actor}").unwrap();
        assert_eq!(template.render(&notification()), "{high} a {wallet} of 0xa1 {title}");
    }

    #[test]
    fn what_does_not_exist_is_refused_with_what_does() {
        for (text, expected) in [
            ("{colour}", "there is no `{colour}`"),
            ("{ title }", "there is no `{ title }`"),
            ("{title", "without `}`"),
            ("title}", "without `{`"),
        ] {
            let problem = Template::parse(text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
        }
        assert!(Template::parse("{colour}").unwrap_err().contains("runbook"));
        assert!(Template::parse(&"x".repeat(TEMPLATE_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn a_message_has_the_words_of_the_operator() {
        let body = Template::parse("{wallet}: see the wiki").unwrap();
        let templated = Templated {
            sink: Arc::new(crate::delivery::sink::Terminal::new("chat", Vec::<u8>::new())),
            title: Some(Template::parse("custody: {rule}").unwrap()),
            body: Some(body),
        };
        let text = render(&templated.told(&notification()));
        assert_eq!(text, "HIGH custody: keywatch/test\n0xa1 {title}: see the wiki\n");
    }
}
