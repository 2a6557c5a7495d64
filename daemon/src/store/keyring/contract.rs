//! What every keyring that answers keeps to.

use std::thread;

use super::Keyring;

/// Each call of `open` is another start of the agent.
pub(in crate::store) fn keeps_the_key_that_it_made<K: Keyring>(open: impl Fn() -> K + Sync) {
    let made = thread::scope(|scope| {
        let at_once = [(); 4].map(|()| scope.spawn(|| open().read_or_create().unwrap()));
        at_once.map(|one| one.join().unwrap())
    });
    let keyring = open();
    for key in made {
        assert_eq!(key, keyring.read_or_create().unwrap());
        assert_ne!(*key, [0; 32]);
    }
}

/// One that cannot give what it once made says why, and makes no other one instead.
#[cfg(windows)]
pub(super) fn makes_no_other_key_while(keyring: &impl Keyring, words: &str) {
    for _ in 0..2 {
        let super::KeyringError(why) = keyring.read_or_create().unwrap_err();
        assert!(why.contains(words), "{why}");
    }
}
