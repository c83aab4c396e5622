//! Settings for TLS, proxies, CORS and optional routes.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{ArgAction, Args};
use ipnet::IpNet;

use super::{AccessError, address};
use crate::model::OriginPattern;
use crate::store::{ClientTlsConfig, TlsCertificates};

/// TLS, proxies, CORS and optional routes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Network")]
pub struct Network {
    /// PEM file with the certificate chain for HTTPS; reloaded when it changes
    #[arg(
        long,
        env = "DUOLOGUE_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub tls_cert: Option<PathBuf>,

    /// PEM file with the private key of that certificate; reloaded when it changes
    #[arg(
        long,
        env = "DUOLOGUE_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_key: Option<PathBuf>,

    /// Origins whose pages may call the API, comma-separated: https://*.example.com,
    /// capacitor://localhost
    #[arg(long, env = "DUOLOGUE_CORS_ORIGINS", value_name = "ORIGINS", value_delimiter = ',', value_parser = origin)]
    pub cors_origins: Vec<OriginPattern>,

    /// Host names that a service without credentials answers to besides localhost, comma-separated
    #[arg(long, env = "DUOLOGUE_HOSTS", value_name = "NAMES", value_delimiter = ',', value_parser = host)]
    pub hosts: Vec<String>,

    /// Proxies (IP or CIDR, comma-separated) whose Forwarded or X-Forwarded-For is trusted
    #[arg(long, env = "DUOLOGUE_TRUSTED_PROXIES", value_name = "NETWORKS", value_delimiter = ',', value_parser = network)]
    pub trusted_proxies: Vec<IpNet>,

    /// Separate address that serves /metrics, and nothing else, without authentication
    #[arg(long, env = "DUOLOGUE_METRICS_BIND", value_name = "HOST:PORT", value_parser = address)]
    pub metrics_bind: Option<SocketAddr>,

    /// Serve Swagger UI at /docs, and /openapi.yaml, /openapi.json and /asyncapi.yaml
    #[arg(long, env = "DUOLOGUE_DOCS", value_name = "true|false", default_value = "true", action = ArgAction::Set)]
    pub docs: bool,

    /// Serve the web messenger at /
    #[arg(long, env = "DUOLOGUE_PAGE", value_name = "true|false", default_value = "true", action = ArgAction::Set)]
    pub page: bool,

    /// PEM file with the CA certificate that verifies a rediss:// server
    #[arg(long, env = "DUOLOGUE_REDIS_CA", value_name = "FILE")]
    pub redis_ca: Option<PathBuf>,

    /// PEM file with the client certificate for a rediss:// server
    #[arg(
        long,
        env = "DUOLOGUE_REDIS_CERT",
        value_name = "FILE",
        requires = "redis_key"
    )]
    pub redis_cert: Option<PathBuf>,

    /// PEM file with the private key of that client certificate
    #[arg(
        long,
        env = "DUOLOGUE_REDIS_KEY",
        value_name = "FILE",
        requires = "redis_cert"
    )]
    pub redis_key: Option<PathBuf>,
}

impl Network {
    /// The certificates for `rediss://`. `None` uses the certificate authorities of the system and no client
    /// certificate.
    pub fn redis_certificates(&self) -> Result<Option<TlsCertificates>, AccessError> {
        let read = |file: &Option<PathBuf>, variable| match file {
            None => Ok(None),
            Some(file) => match fs::read(file) {
                Ok(pem) => Ok(Some(pem)),
                Err(why) => Err(AccessError::File {
                    variable,
                    file: file.clone(),
                    why,
                }),
            },
        };
        let root_cert = read(&self.redis_ca, "DUOLOGUE_REDIS_CA")?;
        let cert = read(&self.redis_cert, "DUOLOGUE_REDIS_CERT")?;
        let key = read(&self.redis_key, "DUOLOGUE_REDIS_KEY")?;
        let client_tls = cert
            .zip(key)
            .map(|(client_cert, client_key)| ClientTlsConfig {
                client_cert,
                client_key,
            });
        let any = root_cert.is_some() || client_tls.is_some();
        Ok(any.then_some(TlsCertificates {
            client_tls,
            root_cert,
        }))
    }
}

/// Lists may have spaces after their commas.
fn origin(text: &str) -> Result<OriginPattern, &'static str> {
    text.trim().parse()
}

fn host(text: &str) -> Result<String, &'static str> {
    let name = text.trim().to_ascii_lowercase();
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if !name.is_empty() && name.bytes().all(is_name) {
        Ok(name)
    } else {
        Err("expected a host name without scheme and port, such as chat.example.com")
    }
}

pub(super) fn network(text: &str) -> Result<IpNet, &'static str> {
    let text = text.trim();
    let single = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>()
        .or_else(|_| single())
        .map_err(|_| "expected an IP address or a CIDR network, such as 10.0.0.0/8 or ::1")
}
