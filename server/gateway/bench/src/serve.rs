//! The gateway alone, with the connections of the server around it.

use std::{path::Path, time::Duration};

use gateway::{Gateway, Patience, Settings};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use store::{MasterKey, Store};
use tokio::net::TcpListener;

use crate::Failure;

/// As many as the server has.
const CONNECTIONS: u32 = 32;

pub async fn run(database_url: &str, data_dir: &Path) -> Result<(), Failure> {
    // Slow statements are what is measured, not worth a line each.
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter("error").init();
    let store = Store::connect(database_url, CONNECTIONS, master_key(data_dir)?).await?;
    let settings = Settings {
        public_url: "http://127.0.0.1".to_owned(),
        spool_dir: data_dir.join("spool"),
        spool_limit: gateway::SPOOL_LIMIT,
        cut_off: gateway::CUT_OFF,
        patience: Patience::default(),
    };
    let gateway = Gateway::start(store, settings).await?;
    let service = TowerToHyperService::new(gateway.router());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("the gateway alone is ready at http://{}", listener.local_addr()?);
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
        builder.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(30));
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service.clone());
        let connection = connection.into_owned();
        tokio::spawn(async move {
            let _ = connection.await;
        });
    }
}

/// The key as the server keeps it.
pub fn master_key(data_dir: &Path) -> Result<MasterKey, Failure> {
    let text = std::fs::read_to_string(data_dir.join("master.key"))?;
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().enumerate() {
        let digits = text.get(place * 2..place * 2 + 2).ok_or("the master key is too short")?;
        *byte = u8::from_str_radix(digits, 16)?;
    }
    Ok(MasterKey::new(bytes))
}
