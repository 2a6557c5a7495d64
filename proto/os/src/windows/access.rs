//! What a security descriptor says, from its text (SDDL): whose an object is, and who may use it.

/// Whoever is one of these can do as they like anyway: the system itself, and the machine's administrators.
const ALMIGHTY: [&str; 4] = ["SY", "BA", "S-1-5-18", "S-1-5-32-544"];

/// Stand for whoever owns an object, or makes one.
const OWNERS: [&str; 3] = ["OW", "CO", "S-1-3-4"];

/// The rights to change an object, by the two letters that SDDL has for them.
const WRITING: [&str; 12] = ["GA", "GW", "FA", "FW", "SD", "WD", "WO", "DC", "LC", "WP", "DT", "KA"];

/// The same as bits: generic all and write, write owner and access list, delete, and what writes a file.
const WRITING_BITS: u32 = 0x1000_0000 | 0x4000_0000 | 0x000d_0000 | 0x156;

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Descriptor {
    /// By SID, or a name of two letters.
    pub(super) owner: Option<String>,
    /// Absent where everybody may do everything.
    allowed: Option<Vec<Allowed>>,
}

/// One who is let in.
#[derive(Debug, PartialEq, Eq)]
struct Allowed {
    rights: String,
    who: String,
}

impl Descriptor {
    /// Reads `O:…D:…(…)(…)`; `None` for what is no such text.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (head, list) = text.split_once("D:").map_or((text, None), |(head, list)| (head, Some(list)));
        let owner = head.strip_prefix("O:").map(|rest| match rest.split_once("G:") {
            Some((owner, _)) => owner.to_owned(),
            None => rest.to_owned(),
        });
        let allowed = match list {
            None => None,
            Some(list) if list.contains("NO_ACCESS_CONTROL") => None,
            Some(list) => Some(entries(list)?),
        };
        Some(Self { owner, allowed })
    }

    /// Whether it is of one of these, or of somebody who can do everything anyway.
    pub(super) fn is_of(&self, us: &[String]) -> bool {
        self.owner.as_ref().is_some_and(|owner| is_among(owner, us))
    }

    /// Whether somebody else is let in, for anything.
    pub(super) fn lets_others_in(&self, us: &[String]) -> bool {
        self.others(us, |_| true)
    }

    /// Whether somebody else may change it.
    pub(super) fn lets_others_write(&self, us: &[String]) -> bool {
        self.others(us, |allowed| writes(&allowed.rights))
    }

    fn others(&self, us: &[String], counts: impl Fn(&Allowed) -> bool) -> bool {
        match &self.allowed {
            None => true,
            Some(all) => all.iter().any(|allowed| {
                let ours = is_among(&allowed.who, us) || OWNERS.contains(&allowed.who.as_str());
                !ours && counts(allowed)
            }),
        }
    }
}

fn is_among(who: &str, us: &[String]) -> bool {
    us.iter().any(|ours| ours == who) || ALMIGHTY.contains(&who)
}

/// `(type;flags;rights;object;inherited object;who)`, one after the other, behind flags of the list.
fn entries(list: &str) -> Option<Vec<Allowed>> {
    let mut allowed = Vec::new();
    for entry in list.split('(').skip(1) {
        let fields: Vec<&str> = entry.split_once(')')?.0.split(';').collect();
        let [kind, _, rights, _, _, who, ..] = fields[..] else { return None };
        // What denies lets nobody in; what is audited neither.
        if ["A", "XA", "OA", "ZA"].contains(&kind) {
            allowed.push(Allowed { rights: rights.to_owned(), who: who.to_owned() });
        }
    }
    Some(allowed)
}

fn writes(rights: &str) -> bool {
    if let Some(bits) = rights.strip_prefix("0x") {
        return u32::from_str_radix(bits, 16).map_or(true, |bits| bits & WRITING_BITS != 0);
    }
    let pairs = rights.as_bytes().chunks(2);
    pairs.into_iter().any(|pair| WRITING.iter().any(|right| right.as_bytes() == pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: &str = "S-1-5-21-1-2-3-1001";

    fn us() -> Vec<String> {
        vec![US.to_owned(), "LA".to_owned()]
    }

    fn read(text: &str) -> Descriptor {
        Descriptor::parse(text).unwrap()
    }

    #[test]
    fn what_is_ours_alone_lets_nobody_else_in() {
        for text in [
            format!("O:{US}D:P(A;OICI;FA;;;{US})"),
            format!("O:{US}G:{US}D:PAI(A;OICI;FA;;;{US})(A;OICI;FA;;;SY)(A;;FA;;;BA)"),
            "O:BAD:(A;;FA;;;LA)(D;;FA;;;WD)(A;OICIIO;GA;;;CO)".to_owned(),
            format!("O:{US}D:P"),
        ] {
            let read = read(&text);
            assert!(read.is_of(&us()) && !read.lets_others_in(&us()), "{text}");
        }
    }

    #[test]
    fn whoever_else_is_let_in_is_seen() {
        for (text, writes) in [
            (format!("O:{US}D:(A;;FR;;;WD)"), false),
            (format!("O:{US}D:(A;;0x1200a9;;;BU)"), false),
            (format!("O:{US}D:(A;;FA;;;{US})(A;;0x1301bf;;;AU)"), true),
            (format!("O:{US}D:(A;;FRFW;;;S-1-5-21-9-9-9-9)"), true),
            (format!("O:{US}D:(A;;0xnothing;;;WD)"), true),
            (format!("O:{US}D:NO_ACCESS_CONTROL"), true),
            (format!("O:{US}"), true),
        ] {
            let read = read(&text);
            assert!(read.lets_others_in(&us()), "{text}");
            assert_eq!(read.lets_others_write(&us()), writes, "{text}");
        }
    }

    #[test]
    fn what_belongs_to_somebody_else_is_not_ours() {
        assert!(!read("O:S-1-5-21-9-9-9-9D:P").is_of(&us()));
        assert!(!read("D:P").is_of(&us()));
        assert_eq!(Descriptor::parse("O:BAD:(A;;FA"), None);
        assert_eq!(Descriptor::parse("O:BAD:(A;;FA)"), None);
    }
}
