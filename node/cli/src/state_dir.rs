//! The state folder: where the lease is kept, beside the data and never copied or restored with it.

use std::env;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::failure::{Cause, Exit, Failure};

/// The state folder of the node in `data`: the one that was configured, or else the first of the usual ones
/// that this user may write to and that is not in the data folder. `None` if there is none.
pub(crate) fn resolve(configured: Option<&Path>, data: &Path) -> Result<Option<PathBuf>, Failure> {
    let Some(configured) = configured else {
        return Ok(choose(usual(|name| env::var(name).ok()), data));
    };
    if is_within(configured, data) {
        let what = format!("the state folder {} is in the data folder", configured.display());
        return Err(Failure::new(what)
            .cause(Cause::Config)
            .why("the lease proves that the data is no old copy, so it must not be copied with it")
            .fix("choose a folder elsewhere for `state_dir`, or leave it out")
            .exit(Exit::Config));
    }
    Ok(Some(configured.to_owned()))
}

/// The state folder for people.
pub(crate) fn text(folder: Option<&Path>) -> String {
    folder.map_or("none".into(), |folder| folder.display().to_string())
}

/// Where a state folder may be, best first: what systemd says (`StateDirectory=`, perhaps several), what
/// the user's session says, the user's home, the system's place.
fn usual(variable: impl Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let service = variable("STATE_DIRECTORY").unwrap_or_default();
    let mut folders: Vec<PathBuf> =
        service.split(':').filter(|folder| !folder.is_empty()).map(PathBuf::from).collect();
    let user = variable("XDG_STATE_HOME").map(PathBuf::from);
    let home = || variable("HOME").map(|home| Path::new(&home).join(".local/state"));
    folders.extend(user.or_else(home).map(|folder| folder.join("millpond")));
    folders.push(PathBuf::from("/var/lib/millpond"));
    folders
}

fn choose(folders: Vec<PathBuf>, data: &Path) -> Option<PathBuf> {
    folders
        .into_iter()
        .find(|folder| folder.is_absolute() && !is_within(folder, data) && is_writable(folder))
}

fn is_within(folder: &Path, data: &Path) -> bool {
    real(folder).starts_with(real(data))
}

/// The path without links and dots, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut missing = Vec::new();
    for existing in path.ancestors() {
        if let Ok(existing) = existing.canonicalize() {
            return missing.iter().rev().fold(existing, |path, name| path.join(name));
        }
        missing.extend(existing.file_name());
    }
    path
}

/// Whether the folder, or the nearest one above it that exists, takes new files.
fn is_writable(folder: &Path) -> bool {
    let nearest = folder.ancestors().find(|folder| folder.exists());
    let takes = |folder: &Path| access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    nearest.is_some_and(|folder| folder.is_dir() && takes(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual_with(variables: &[(&str, &str)]) -> Vec<PathBuf> {
        let value = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string())
        };
        usual(value)
    }

    #[test]
    fn the_service_comes_before_the_user_and_the_user_before_the_system() {
        let all = [
            ("STATE_DIRECTORY", "/var/lib/a:/var/lib/b"),
            ("XDG_STATE_HOME", "/state"),
            ("HOME", "/home/anna"),
        ];
        let system = "/var/lib/millpond";
        let expected = ["/var/lib/a", "/var/lib/b", "/state/millpond", system];
        assert_eq!(usual_with(&all), expected.map(PathBuf::from));
        let expected = ["/home/anna/.local/state/millpond", system];
        assert_eq!(usual_with(&all[2..]), expected.map(PathBuf::from));
        assert_eq!(usual_with(&[("HOME", "")]), [PathBuf::from(system)]);
    }

    #[test]
    fn a_folder_in_the_data_is_never_chosen() {
        let folder = tempfile::tempdir().unwrap();
        let (data, lease) = (folder.path().join("data"), folder.path().join("lease"));
        for inside in [data.clone(), data.join("state"), data.join("../data/state")] {
            let chosen = choose(vec![inside.clone(), lease.clone()], &data);
            assert_eq!(chosen.as_ref(), Some(&lease), "{}", inside.display());
            let failure = resolve(Some(&inside), &data).unwrap_err();
            assert_eq!(failure.exit, Exit::Config);
        }
        std::fs::create_dir(&data).unwrap();
        std::os::unix::fs::symlink(&data, folder.path().join("link")).unwrap();
        assert_eq!(choose(vec![folder.path().join("link/state")], &data), None);
        assert_eq!(
            choose(vec![folder.path().join("data-2")], &data),
            Some(folder.path().join("data-2"))
        );
        assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0, "choosing makes nothing");
    }

    #[test]
    fn a_folder_that_cannot_be_is_passed_over() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let data = Path::new("/nowhere/data");
        assert_eq!(choose(vec!["relative".into(), file.path().join("x")], data), None);
    }
}
