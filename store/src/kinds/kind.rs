//! What a kind is: its name, its meaning, who may write it and what it says. Which kinds there are stands in the registry.

/// A field of `detail`: name, type, meaning.
pub type Field = (&'static str, &'static str, &'static str);

/// One kind of event.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Dotted name; the part before the first dot is its family.
    pub name: &'static str,
    /// What has happened when an event of this kind stands in the log.
    pub meaning: &'static str,
    /// Who may write it.
    pub writer: Writer,
    /// The words of `outcome`, or nothing where the column stays empty.
    pub outcomes: &'static [&'static str],
    /// Fields of `detail` that rules may rely on.
    pub detail: &'static [Field],
}

/// Who may write a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// Any authenticated source, for its own system.
    Source,
    /// keywatch itself, in the events log.
    Keywatch,
    /// keywatch itself, in the conclusions log.
    Conclusion,
}

pub(super) const fn source(
    name: &'static str,
    meaning: &'static str,
    outcomes: &'static [&'static str],
    detail: &'static [Field],
) -> Kind {
    Kind { name, meaning, writer: Writer::Source, outcomes, detail }
}

pub(super) const fn keywatch(
    name: &'static str,
    meaning: &'static str,
    outcomes: &'static [&'static str],
    detail: &'static [Field],
) -> Kind {
    Kind { name, meaning, writer: Writer::Keywatch, outcomes, detail }
}

pub(super) const fn conclusion(name: &'static str, meaning: &'static str) -> Kind {
    Kind { name, meaning, writer: Writer::Conclusion, outcomes: &[], detail: &[] }
}

pub(super) const fn operated(name: &'static str, meaning: &'static str, detail: &'static [Field]) -> Kind {
    Kind { name, meaning, writer: Writer::Conclusion, outcomes: &[], detail }
}
