//! The folder of a private Redis: its socket, its log, and the lock that keeps a second one out.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use redis::Client;
use tokio::time::sleep;

use super::StartError;

/// The longest path a unix socket may have (`sun_path` holds 108 bytes, 104 on macOS, one is NUL).
const MAX_SOCKET_PATH: usize = 103;

/// How long a predecessor may take to let go of the directory.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Where everything of it is.
#[derive(Clone)]
pub(super) struct Place {
    pub dir: PathBuf,
    pub socket: PathBuf,
    pub log: PathBuf,
}

/// The socket stands beside the data, unless its path would be too long for a socket.
pub(super) fn socket_path(dir: &Path) -> io::Result<PathBuf> {
    let beside = dir.join("redis.sock");
    if beside.as_os_str().len() <= MAX_SOCKET_PATH {
        return Ok(beside);
    }
    // Named after the folder, so that two of them do not meet; private like it.
    let hash = crc::Crc::<u64>::new(&crc::CRC_64_XZ).checksum(dir.as_os_str().as_encoded_bytes());
    let private = std::env::temp_dir().join(format!("duologue-{hash:016x}"));
    match DirBuilder::new().mode(0o700).create(&private) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    // Others may write to the folder for temporary files too, and could have been there first.
    let found = private.symlink_metadata()?;
    let ours = found.uid() == rustix::process::geteuid().as_raw();
    if found.is_dir() && ours && found.mode() & 0o777 == 0o700 {
        Ok(private.join("redis.sock"))
    } else {
        let why = format!("{} belongs to somebody else", private.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
    }
}

/// Takes the folder. Two servers on one folder corrupt it.
pub(super) async fn lock(place: &Place) -> Result<File, StartError> {
    let unusable = |e| StartError::Folder(place.dir.clone(), e);
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    let file = file.open(place.dir.join("lock")).map_err(unusable)?;
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(e)) => return Err(unusable(e)),
            Err(TryLockError::WouldBlock) if Instant::now() > deadline => {
                return Err(StartError::Locked(place.dir.clone()));
            }
            Err(TryLockError::WouldBlock) => {
                let socket = place.socket.clone();
                let _ = tokio::task::spawn_blocking(move || retire_orphan(&socket)).await;
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Stops a Redis whose service is gone: nobody is connected to it but us. One that still has its
/// service would be started again by it, under the same lock, and lose nothing.
fn retire_orphan(socket: &Path) -> redis::RedisResult<()> {
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
