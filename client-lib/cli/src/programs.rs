//! Where programs are, as the system finds them.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

/// All programs of this name in the folders of `PATH`, in their order. Folders that are named by where
/// somebody happens to be do not count.
pub(crate) fn on_path(name: impl AsRef<OsStr>) -> impl Iterator<Item = PathBuf> {
    let files = system::files(name.as_ref(), env::var_os("PATHEXT"));
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let folders = folders.into_iter().filter(|folder| folder.is_absolute());
    let all = folders
        .flat_map(move |folder| -> Vec<PathBuf> { files.iter().map(|file| folder.join(file)).collect() });
    all.filter(|file| system::is_program(file))
}

/// The program that a shell would run for a command, if it is there.
pub(crate) fn find(command: &OsStr) -> Option<PathBuf> {
    if Path::new(command).components().count() > 1 {
        let named = system::files(command, env::var_os("PATHEXT")).into_iter().map(PathBuf::from);
        return named.into_iter().find(|file| system::is_program(file));
    }
    on_path(command).next()
}

/// What to run for a command as it was typed: itself, where the system looks for it as shells do.
pub(crate) fn typed(command: &OsStr) -> OsString {
    system::typed(command)
}

/// The words of a variable that names a program, perhaps with arguments. What quotes hold together is one word; a
/// file that is there is one without any.
pub(crate) fn words(variable: &str) -> Vec<String> {
    if Path::new(variable).is_file() {
        return vec![variable.to_owned()];
    }
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in variable.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_arguments_and_spaces_in_its_path() {
        assert_eq!(words("code --wait"), ["code", "--wait"]);
        assert_eq!(words(r#""C:\Program Files\x\x.exe"  -n ""#), [r"C:\Program Files\x\x.exe", "-n"]);
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("my editor");
        std::fs::write(&program, "").unwrap();
        let program = program.to_str().unwrap();
        assert_eq!(words(program), [program]);
    }

    #[test]
    fn a_program_that_is_not_there_is_not_found() {
        let found = find(if cfg!(windows) { "cmd" } else { "sh" }.as_ref()).unwrap();
        assert_eq!(find(found.as_os_str()), Some(found));
        assert_eq!(find("nothing-of-that-name".as_ref()), None);
        assert_eq!(find("/nonexistent/sh".as_ref()), None);
    }
}

#[cfg(unix)]
mod system {
    use std::{
        ffi::{OsStr, OsString},
        fs,
        os::unix::fs::PermissionsExt as _,
        path::Path,
    };

    pub(super) fn files(name: &OsStr, _: Option<OsString>) -> Vec<OsString> {
        vec![name.to_owned()]
    }

    pub(super) fn is_program(file: &Path) -> bool {
        fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    }

    pub(super) fn typed(command: &OsStr) -> OsString {
        command.to_owned()
    }
}

/// A program is known by the end of its name, of which `PATHEXT` has all that count.
#[cfg(windows)]
mod system {
    use std::{
        ffi::{OsStr, OsString},
        path::{Path, PathBuf},
    };

    const USUAL: &str = ".COM;.EXE;.BAT;.CMD";

    pub(super) fn files(name: &OsStr, ends: Option<OsString>) -> Vec<OsString> {
        let ends = ends.and_then(|ends| ends.into_string().ok()).filter(|ends| !ends.is_empty());
        let ends = ends.unwrap_or_else(|| USUAL.to_owned()).to_ascii_lowercase();
        let ends = || ends.split(';').filter(|end| end.len() > 1 && end.starts_with('.'));
        let typed = Path::new(name).extension().map(OsStr::to_ascii_lowercase);
        let is_whole = typed.is_some_and(|typed| ends().any(|end| typed.to_str() == end.get(1..)));
        let with = |end: &str| {
            let mut file = name.to_owned();
            file.push(end);
            file
        };
        is_whole.then(|| name.to_owned()).into_iter().chain(ends().map(with)).collect()
    }

    pub(super) fn is_program(file: &Path) -> bool {
        file.is_file()
    }

    /// Windows itself finds what ends in `.exe`.
    pub(super) fn typed(command: &OsStr) -> OsString {
        super::find(command).map_or_else(|| command.to_owned(), PathBuf::into_os_string)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_program_may_be_named_with_its_end_or_without() {
            let all = |name: &str, ends: Option<&str>| files(name.as_ref(), ends.map(Into::into));
            assert_eq!(all("dbt", None), ["dbt.com", "dbt.exe", "dbt.bat", "dbt.cmd"]);
            assert_eq!(all("dbt.CMD", Some(".EXE;.CMD")), ["dbt.CMD", "dbt.CMD.exe", "dbt.CMD.cmd"]);
            assert_eq!(all("python3.11", Some(".EXE")), ["python3.11.exe"]);
            assert_eq!(all("x", Some("")).len(), 4);
        }

        #[test]
        fn a_script_is_found_where_it_is_named() {
            let folder = tempfile::tempdir().unwrap();
            let script = folder.path().join("a b.cmd");
            std::fs::write(&script, "").unwrap();
            assert_eq!(typed(folder.path().join("a b").as_os_str()), script);
            assert_eq!(typed("nothing-of-that-name".as_ref()), "nothing-of-that-name");
            let cmd = typed("cmd".as_ref());
            assert!(
                Path::new(&cmd).is_absolute()
                    && cmd.to_ascii_lowercase().to_str().unwrap().ends_with("cmd.exe")
            );
        }
    }
}
