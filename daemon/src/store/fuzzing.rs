//! What is found on disk, for the fuzz targets.

use zeroize::Zeroizing;

use super::{
    note,
    record::Record,
    seal::{Sealed, SealingKey, Source},
};

/// What the corpus is sealed with.
const KEY: [u8; 32] = [7; 32];

/// An opened record is one or not, and is written as it was read.
pub(crate) fn record(json: &[u8]) {
    if let Ok(record) = Record::from_json(json) {
        let written = record.to_json();
        let again = Record::from_json(&written).expect("our own record is one");
        assert_eq!(again.to_json(), written);
    }
}

/// A sealed file, or a note, opens or does not.
pub(crate) fn sealed(file: &[u8]) {
    let key = SealingKey::new(Source::File, Zeroizing::new(KEY));
    if let Ok(sealed) = Sealed::parse(file) {
        let _ = (sealed.session(), sealed.key());
        if let Ok(content) = sealed.open(&key) {
            record(&content);
        }
    }
    if note::key_of(file).is_some() {
        let _ = note::open(&key, "consent", file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The corpus of sealed files has one that opens, or what comes after the seal is not looked at.
    #[test]
    fn the_corpus_has_a_file_that_opens() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/corpus/sealed");
        let key = SealingKey::new(Source::File, Zeroizing::new(KEY));
        let opens = |file: &[u8]| Sealed::parse(file).is_ok_and(|sealed| sealed.open(&key).is_ok());
        let files =
            std::fs::read_dir(corpus).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
        assert!(files.into_iter().any(|file| opens(&file)));
    }
}
