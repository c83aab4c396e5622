//! A server with the API of S3 (`s3s`), which verifies signatures, keeps objects in a folder and fails on demand.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use async_trait::async_trait;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3Result, s3_error};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::archive::objects_in;

/// The bucket of the server.
pub const BUCKET: &str = "bucket";

/// The credentials of its user.
const KEY_ID: &str = "test-key";
const SECRET: &str = "test-secret";

/// How the server fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// It closes the connection of every request.
    Refuses,
    /// It takes requests and does not answer.
    Stalls,
}

type Outcome = Result<Response<Body>, Box<dyn std::error::Error + Send + Sync>>;

/// A server with an empty bucket. Stopped when dropped.
pub struct S3Server {
    address: String,
    fault: Arc<AtomicU8>,
    folder: TempDir,
    /// The server ends with it.
    _stop: oneshot::Sender<()>,
}

impl S3Server {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let fault = Arc::<AtomicU8>::default();
        let s3 = S3 {
            service: Arc::new(service(folder.path())),
            fault: fault.clone(),
        };
        thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! { () = s3.serve(listener) => (), _ = stopped => () }
            });
        });
        Self {
            address,
            fault,
            folder,
            _stop: stop,
        }
    }

    /// From now on the server fails in this way.
    pub fn set_fault(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::Relaxed);
    }

    /// The variables with which the tools of AWS use the server.
    pub fn variables(&self) -> [(&'static str, &str); 5] {
        [
            ("AWS_ENDPOINT_URL", &self.address),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
        ]
    }

    /// The files of all objects below a prefix.
    pub fn objects(&self, prefix: &str) -> Vec<PathBuf> {
        let folder = self.folder.path().join(BUCKET).join(prefix);
        if folder.exists() {
            objects_in(&folder)
        } else {
            Vec::new()
        }
    }
}

fn service(folder: &Path) -> S3Service {
    let mut builder = S3ServiceBuilder::new(FileSystem::new(folder).unwrap());
    builder.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
    builder.set_access(OneBucket);
    builder.build()
}

/// The server itself would create a bucket that does not exist.
struct OneBucket;

#[async_trait]
impl S3Access for OneBucket {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied));
        }
        match context.s3_path().get_bucket_name() {
            Some(BUCKET) => Ok(()),
            _ => Err(s3_error!(NoSuchBucket)),
        }
    }
}

/// What connections share.
#[derive(Clone)]
struct S3 {
    service: Arc<S3Service>,
    fault: Arc<AtomicU8>,
}

impl S3 {
    async fn serve(self, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let s3 = self.clone();
            let answer = service_fn(move |request| s3.clone().answer(request));
            tokio::spawn(async move {
                // Fails if the client goes, or if the server refuses.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), answer)
                    .await;
            });
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Outcome {
        let fails = |fault: Fault| self.fault.load(Ordering::Relaxed) == fault as u8;
        if fails(Fault::Refuses) {
            return Err("the server refuses".into());
        }
        if fails(Fault::Stalls) {
            std::future::pending::<()>().await;
        }
        Ok(self.service.call(request.map(Body::from)).await?)
    }
}
