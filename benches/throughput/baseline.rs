//! Row (a): an actix handler that parses the same JSON and answers it, and does nothing else. No
//! service on this framework can spend less on a send.

use std::io::Read;
use std::net::TcpListener;
use std::thread;

use actix_web::web::Json;
use actix_web::{App, HttpResponse, HttpServer, post};
use serde::{Deserialize, Serialize};

use crate::Outcome;

#[derive(Serialize, Deserialize)]
struct Message {
    from: String,
    to: String,
    body: String,
}

#[post("/messages")]
async fn answer(message: Json<Message>) -> HttpResponse {
    HttpResponse::Created().json(message)
}

/// Serves on a port of the system's choice, which it prints, until its standard input ends: so it
/// outlives the benchmark in no event.
pub fn serve(workers: usize) -> Outcome<()> {
    thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    actix_web::rt::System::new().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        println!("{}", listener.local_addr()?);
        let server = HttpServer::new(|| App::new().service(answer)).workers(workers);
        server.listen(listener)?.run().await?;
        Ok(())
    })
}
