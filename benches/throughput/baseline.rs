//! Row (a): an actix handler that parses the JSON of a message and returns it: the minimum that a send can
//! cost with this framework. Row (p): the same after a PING to Redis on a connection that the requests of a
//! worker share, as in the service.

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use actix_web::error::ErrorInternalServerError;
use actix_web::web::{Data, Json};
use actix_web::{App, HttpResponse, HttpServer, web};
use redis::Client;
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::Outcome;

#[derive(Serialize, Deserialize)]
struct Message {
    from: String,
    to: String,
    body: String,
}

/// The Redis connection of a worker, opened by its first request.
struct Redis {
    client: Client,
    connection: OnceCell<MultiplexedConnection>,
}

async fn echo(message: Json<Message>) -> HttpResponse {
    HttpResponse::Created().json(message)
}

async fn ping_and_echo(
    message: Json<Message>,
    redis: Data<Redis>,
) -> actix_web::Result<HttpResponse> {
    let connect = || redis.client.get_multiplexed_async_connection();
    let connection = redis.connection.get_or_try_init(connect).await;
    let mut connection = connection.map_err(ErrorInternalServerError)?.clone();
    let ping = redis::cmd("PING");
    ping.exec_async(&mut connection)
        .await
        .map_err(ErrorInternalServerError)?;
    Ok(HttpResponse::Created().json(message))
}

/// Serves row (a), or, given the socket of a Redis, row (p). Prints its address and stops when its
/// standard input ends, so it never outlives the benchmark.
pub fn serve(workers: usize, socket: Option<&Path>) -> Outcome<()> {
    thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let url = socket.map(|socket| format!("unix://{}", socket.display()));
    let client = url.map(Client::open).transpose()?;
    actix_web::rt::System::new().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        println!("{}", listener.local_addr()?);
        let server = HttpServer::new(move || match client.clone() {
            None => App::new().route("/messages", web::post().to(echo)),
            Some(client) => {
                let connection = OnceCell::new();
                App::new()
                    .app_data(Data::new(Redis { client, connection }))
                    .route("/messages", web::post().to(ping_and_echo))
            }
        });
        server.workers(workers).listen(listener)?.run().await?;
        Ok(())
    })
}
