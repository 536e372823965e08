//! Where the texts of an event lie in its buffer.

/// A column of an event that holds text, detail apart; in the order of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextColumn {
    /// The trusted environment.
    System,
    /// The authenticated source.
    Source,
    /// A name of the registry of kinds.
    Kind,
    /// Person or principal.
    Actor,
    /// Session id.
    Session,
    /// Device id.
    Device,
    /// Address the actor came from.
    Ip,
    /// Country of the address.
    Country,
    /// Wallet acted upon.
    Wallet,
    /// Key id.
    Key,
    /// Signing request.
    Request,
    /// Decision id.
    Decision,
    /// Transaction hash.
    Tx,
    /// Chain name.
    Chain,
    /// Asset symbol or contract.
    Asset,
    /// Where value comes from.
    FromAddress,
    /// Where value goes to.
    ToAddress,
    /// How it went.
    Outcome,
    /// Why.
    Reason,
}

impl TextColumn {
    /// All of them.
    pub const ALL: [TextColumn; 19] = [
        TextColumn::System,
        TextColumn::Source,
        TextColumn::Kind,
        TextColumn::Actor,
        TextColumn::Session,
        TextColumn::Device,
        TextColumn::Ip,
        TextColumn::Country,
        TextColumn::Wallet,
        TextColumn::Key,
        TextColumn::Request,
        TextColumn::Decision,
        TextColumn::Tx,
        TextColumn::Chain,
        TextColumn::Asset,
        TextColumn::FromAddress,
        TextColumn::ToAddress,
        TextColumn::Outcome,
        TextColumn::Reason,
    ];

    /// The name of the column.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TextColumn::System => "system",
            TextColumn::Source => "source",
            TextColumn::Kind => "kind",
            TextColumn::Actor => "actor",
            TextColumn::Session => "session",
            TextColumn::Device => "device",
            TextColumn::Ip => "ip",
            TextColumn::Country => "country",
            TextColumn::Wallet => "wallet",
            TextColumn::Key => "key",
            TextColumn::Request => "request",
            TextColumn::Decision => "decision",
            TextColumn::Tx => "tx",
            TextColumn::Chain => "chain",
            TextColumn::Asset => "asset",
            TextColumn::FromAddress => "from_address",
            TextColumn::ToAddress => "to_address",
            TextColumn::Outcome => "outcome",
            TextColumn::Reason => "reason",
        }
    }
}

/// A stretch of a buffer, in bytes; or no text at all, which is something else than an empty one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    begin: u32,
    length: u32,
}

impl Span {
    pub(crate) const NONE: Span = Span { begin: u32::MAX, length: 0 };

    /// From the first byte and the number of bytes. A buffer is far below the 4 GiB that this can tell.
    #[inline]
    pub(crate) fn new(begin: usize, length: usize) -> Span {
        let fits = |bytes: usize| u32::try_from(bytes).expect("a buffer of texts is limited to far less than 4 GiB");
        Span { begin: fits(begin), length: fits(length) }
    }

    #[inline]
    pub(crate) fn of(self, buffer: &str) -> Option<&str> {
        let begin = self.begin as usize;
        buffer.get(begin..begin + self.length as usize)
    }
}

/// The spans of all texts of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spans {
    columns: [Span; TextColumn::ALL.len()],
    pub(crate) detail: Span,
}

impl Spans {
    pub(crate) const NONE: Spans = Spans { columns: [Span::NONE; TextColumn::ALL.len()], detail: Span::NONE };

    #[inline]
    pub(crate) fn get(&self, column: TextColumn) -> Span {
        self.columns[column as usize]
    }

    #[inline]
    pub(crate) fn set(&mut self, column: TextColumn, span: Span) {
        self.columns[column as usize] = span;
    }
}
