//! Which texts an event may have, and where they lie in its buffer.

/// The columns of text in the order of the schema: those that every event has, then those that some have. `$make` is the
/// macro that makes something of them: of each it is given what it holds, its name, and its variant of [`TextColumn`].
macro_rules! text_columns {
    ($make:ident) => {
        $make! {
            {
                /// The trusted environment it belongs to.
                system: System,
                /// The authenticated source.
                source: Source,
                /// A name of the registry in [`crate::kinds`].
                kind: Kind,
            }
            {
                /// Person or principal.
                actor: Actor,
                /// Session id at the identity provider.
                session: Session,
                /// Device id.
                device: Device,
                /// Address the actor came from.
                ip: Ip,
                /// ISO 3166-1 alpha-2 country of `ip`.
                country: Country,
                /// Wallet (address or vault id) acted upon, lower case where the chain's form is case-insensitive.
                wallet: Wallet,
                /// Key id.
                key: Key,
                /// Signing request (safeTxHash, Fireblocks transaction id …).
                request: Request,
                /// Decision id of the policy decision point.
                decision: Decision,
                /// Transaction hash on the chain.
                tx: Tx,
                /// Chain name, e.g. `ethereum`, `bitcoin`.
                chain: Chain,
                /// Asset symbol or contract.
                asset: Asset,
                /// Where value comes from.
                from_address: FromAddress,
                /// Where value effectively goes to.
                to_address: ToAddress,
                /// How it went; the words are listed for each kind in the registry.
                outcome: Outcome,
                /// Why.
                reason: Reason,
            }
        }
    };
}
pub(super) use text_columns;

macro_rules! column_type {
    ($({$($(#[$meta:meta])* $name:ident: $column:ident,)*})*) => {
        /// A column of an event that holds text, detail apart; in the order of the schema.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum TextColumn {
            $($($(#[$meta])* $column,)*)*
        }

        impl TextColumn {
            /// All of them.
            pub const ALL: [TextColumn; 19] = [$($(TextColumn::$column,)*)*];

            /// The name of the column.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $($(TextColumn::$column => stringify!($name),)*)*
                }
            }
        }
    };
}

text_columns! { column_type }

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
