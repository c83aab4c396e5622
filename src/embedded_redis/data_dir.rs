//! The data directory of the private Redis: its socket, its log, and the lock that excludes other
//! services.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use redis::Client;
use tokio::time::sleep;

use super::StartError;

/// The longest path of a unix socket (`sun_path` holds 108 bytes, 104 on macOS, one of them NUL).
const MAX_SOCKET_PATH: usize = 103;

/// How long to wait for the previous service to release the directory.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// The paths of a private Redis.
#[derive(Clone)]
pub(super) struct Paths {
    pub dir: PathBuf,
    pub socket: PathBuf,
    pub log: PathBuf,
}

/// The socket is in the data directory, or in a private temporary directory if its path would be
/// too long there.
pub(super) fn socket_path(dir: &Path) -> io::Result<PathBuf> {
    let beside_data = dir.join("redis.sock");
    if beside_data.as_os_str().len() <= MAX_SOCKET_PATH {
        return Ok(beside_data);
    }
    // Named after the data directory, so that two services do not share one.
    let hash = crc::Crc::<u64>::new(&crc::CRC_64_XZ).checksum(dir.as_os_str().as_encoded_bytes());
    let private = std::env::temp_dir().join(format!("duologue-{hash:016x}"));
    match DirBuilder::new().mode(0o700).create(&private) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    // Another user may have created it: everybody can write to the directory for temporary files.
    let found = private.symlink_metadata()?;
    let is_ours = found.uid() == rustix::process::geteuid().as_raw();
    if found.is_dir() && is_ours && found.mode() & 0o777 == 0o700 {
        Ok(private.join("redis.sock"))
    } else {
        let why = format!(
            "{} is not a private directory of this user",
            private.display()
        );
        Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
    }
}

/// Locks the directory. Two servers on one directory would corrupt it.
pub(super) async fn lock(paths: &Paths) -> Result<File, StartError> {
    let unusable = |e| StartError::DataDir(paths.dir.clone(), e);
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    let file = file.open(paths.dir.join("lock")).map_err(unusable)?;
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(e)) => return Err(unusable(e)),
            Err(TryLockError::WouldBlock) if Instant::now() > deadline => {
                return Err(StartError::Locked(paths.dir.clone()));
            }
            Err(TryLockError::WouldBlock) => {
                let socket = paths.socket.clone();
                let _ = tokio::task::spawn_blocking(move || stop_orphan(&socket)).await;
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Stops a Redis without a service, recognized by having no other client. If its service was only
/// disconnected, that service starts it again under the same lock, and no data is lost.
fn stop_orphan(socket: &Path) -> redis::RedisResult<()> {
    let client = Client::open(format!("unix://{}", socket.display()))?;
    let mut connection = client.get_connection_with_timeout(Duration::from_secs(1))?;
    connection.set_read_timeout(Some(Duration::from_secs(1)))?;
    let clients = redis::cmd("CLIENT")
        .arg("LIST")
        .query::<String>(&mut connection)?;
    if clients.lines().count() == 1 {
        redis::cmd("SHUTDOWN").exec(&mut connection)?;
    }
    Ok(())
}
