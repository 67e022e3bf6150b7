//! What the executable asks the master to run, and where the process settles down.

use std::path::PathBuf;

use plan::app::AppPlan;
use plan::front::{FrontPlan, LogTarget};
use sys::users::{self, Credentials};

/// Everything one master runs.
#[derive(Debug)]
pub struct Launch {
    /// The app, if there is one.
    pub app: Option<AppLaunch>,
    /// The front, if there is one.
    pub front: Option<FrontLaunch>,
    /// Pid files, log, background.
    pub place: Place,
}

/// An app with the interpreter it runs in.
#[derive(Clone, Debug)]
pub struct AppLaunch {
    /// The app.
    pub plan: AppPlan,
    /// Its interpreter.
    pub python: PathBuf,
    /// The extension module `_pyhost` that is loaded there.
    pub extension: PathBuf,
}

/// A front.
#[derive(Clone, Debug)]
pub struct FrontLaunch {
    /// The front.
    pub plan: FrontPlan,
    /// It only serves an app's `http` addresses: its lines go where the app's go.
    pub beside_app: bool,
}

/// What a reload found; a half that this master does not run is `None`.
#[derive(Debug, Default)]
pub struct Reloaded {
    /// The app's new plan, or why there is none.
    pub app: Option<Result<AppLaunch, String>>,
    /// The front's new plan, or why there is none.
    pub front: Option<Result<FrontPlan, String>>,
}

/// A file with the master's pid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PidFile {
    /// Which.
    pub path: PathBuf,
    /// Removed when the service ends.
    pub vanishes: bool,
}

/// Where the master settles down before it starts anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Pid files.
    pub pid_files: Vec<PidFile>,
    /// Goes to the background.
    pub daemon: bool,
    /// Replaces standard output and error.
    pub log: Option<PathBuf>,
    /// That log belongs to the app's user (`logto2`).
    pub log_after_drop: bool,
    /// Replaces standard error only (the front's error log).
    pub stderr_log: Option<PathBuf>,
    /// File mode creation mask.
    pub umask: Option<u32>,
    /// RLIMIT_NOFILE, inherited by the children.
    pub descriptors_max: Option<u64>,
    /// Title of the master.
    pub title: Option<String>,
}

impl Place {
    /// Where an app server settles down.
    pub fn of_app(plan: &AppPlan) -> Place {
        let process = &plan.process;
        let files = [&process.pidfile, &process.safe_pidfile, &process.pidfile2];
        let pid_files = files.into_iter().flatten();
        let pid_files =
            pid_files.map(|path| PidFile { path: path.clone(), vanishes: process.vacuum });
        let titles = &process.titles;
        let title = titles.master.clone().or_else(|| titles.all.clone());
        let title = title.or_else(|| titles.auto.then(|| "uWSGI master".to_owned()));
        let prefix = titles.prefix.as_deref().unwrap_or_default();
        let append = titles.append.as_deref().unwrap_or_default();
        Place {
            pid_files: pid_files.collect(),
            daemon: process.daemonize.is_some() || process.daemonize2.is_some(),
            log: plan.log.file.clone(),
            log_after_drop: plan.log.file_after_drop,
            stderr_log: None,
            umask: process.umask,
            descriptors_max: plan.limits.descriptors_max,
            title: title.map(|title| format!("{prefix}{title}{append}")),
        }
    }

    /// Where a web server settles down.
    pub fn of_front(plan: &FrontPlan) -> Place {
        let main = &plan.main;
        let to_file = main.error_log.first().and_then(|log| match log.target {
            LogTarget::File(id) => plan.log_files.get(id.0 as usize).cloned(),
            LogTarget::Stderr => None,
        });
        Place {
            pid_files: vec![PidFile { path: main.pid_file.clone(), vanishes: true }],
            daemon: main.daemon,
            stderr_log: to_file,
            descriptors_max: main.descriptors_max,
            ..Place::default()
        }
    }
}

/// The user and group that the app's processes become; `None`: they stay who we are.
///
/// # Errors
/// A name that does not exist, in words.
pub fn app_credentials(plan: &AppPlan) -> Result<Option<Credentials>, String> {
    let process = &plan.process;
    credentials(process.uid.as_deref(), process.gid.as_deref())
}

/// The user and group that the front becomes; `None`: it stays who we are.
///
/// # Errors
/// A name that does not exist, in words.
pub fn front_credentials(plan: &FrontPlan) -> Result<Option<Credentials>, String> {
    match &plan.main.user {
        Some((user, group)) => credentials(Some(user), group.as_deref()),
        None => Ok(None),
    }
}

/// Looks both names up. Only root can become somebody else; others stay who they are, as with
/// the originals.
fn credentials(user: Option<&str>, group: Option<&str>) -> Result<Option<Credentials>, String> {
    if !users::is_root() || (user.is_none() && group.is_none()) {
        return Ok(None);
    }
    let found_group = group.map(group_number).transpose()?;
    let Some(name) = user else {
        let groups = found_group.into_iter().collect();
        return Ok(Some(Credentials { uid: None, gid: found_group, groups }));
    };
    let user =
        users::user(name).map_err(|error| format!("cannot look up user `{name}`: {error}"))?;
    let user = user.ok_or_else(|| format!("there is no user `{name}` on this machine"))?;
    let gid = found_group.unwrap_or(user.gid);
    let groups = users::groups_of(&user.name, gid);
    Ok(Some(Credentials { uid: Some(user.uid), gid: Some(gid), groups }))
}

fn group_number(name: &str) -> Result<u32, String> {
    let found = users::group(name);
    let found = found.map_err(|error| format!("cannot look up group `{name}`: {error}"))?;
    found.ok_or_else(|| format!("there is no group `{name}` on this machine"))
}

/// Who gets the app's Unix sockets: `chown-socket`, else the app's own user.
///
/// # Errors
/// A name that does not exist, in words.
pub fn socket_owner(plan: &AppPlan) -> Result<(Option<u32>, Option<u32>), String> {
    let Some(written) = &plan.process.socket_owner else {
        let who = app_credentials(plan)?;
        return Ok(who.map_or((None, None), |who| (who.uid, who.gid)));
    };
    let (user, group) = match written.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (written.as_str(), None),
    };
    let uid = match user {
        "" => None,
        name => {
            let found = users::user(name).map_err(|error| format!("user `{name}`: {error}"))?;
            let missing = || format!("`chown-socket` names user `{name}`, who does not exist");
            Some(found.ok_or_else(missing)?.uid)
        }
    };
    let gid = group.filter(|name| !name.is_empty()).map(group_number).transpose()?;
    Ok((uid, gid))
}
