//! `bursar serve`: the console and the gateway, until SIGTERM or Ctrl-C.

use std::{future::Future, sync::Arc, time::Duration};

use app::backend::{Backend, CallAsk, Hooks, ProbeAnswer, ProbeAsk};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, header},
};
use gateway::{Gateway, Patience, Settings};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
};
use tower::{ServiceExt, util::MapRequest};

use crate::{
    Fatal, assets, config::Config, database::Database, http, jobs, live::Live, mail::Mailer, outbox, watch,
};

/// How much of the drain is left, at most, for the last words of answers that have not come to their end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How long what is being sent may take after that.
const SENDING: Duration = Duration::from_secs(10);

/// Serves until it is told to stop.
pub async fn run(config: Config) -> Result<(), Fatal> {
    // The port first: when it is taken, nothing was started that would have to be stopped.
    let listener = bind(&config).await?;
    let bound = listener.local_addr().map_err(|error| Fatal::new("the address", error))?;
    raise_files();
    config.make_data_dir()?;
    let database = Database::open(&config).await?;
    let public_url = config.public_url(bound);
    let say = async |_| say_ready(&database.store, &public_url).await;
    let served = serve(&config, &database, listener, &public_url, say).await;
    database.close().await;
    served
}

/// Every connection is a file: as many as the system lets us have. What it starts us with is often
/// a thousand, and a call needs two.
fn raise_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_err() {
        tracing::warn!("the limit on open files could not be raised; few connections may be open at a time");
    }
}

/// Takes the address.
pub async fn bind(config: &Config) -> Result<TcpListener, Fatal> {
    let cause = match TcpListener::bind(config.addr).await {
        Ok(listener) => return Ok(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            format!(
                "{} is taken by another program; stop that, or choose another address with BURSAR_ADDR",
                config.addr
            )
        }
        Err(error) => format!("{}: {error}", config.addr),
    };
    Err(Fatal::new("cannot listen", cause))
}

/// Serves what is in a database. `ready` is told when everything stands, with the gateway's routes.
pub async fn serve(
    config: &Config,
    database: &Database,
    listener: TcpListener,
    public_url: &str,
    ready: impl AsyncFnOnce(Router) -> Result<(), Fatal>,
) -> Result<(), Fatal> {
    // Pages are rendered on this runtime. An error says that it is set already.
    let _ = any_spawner::Executor::init_tokio();
    let store = database.store.clone();
    let mailer = Mailer::of(config, public_url)?;
    jobs::round(&store, config.ledger_days).await;
    let settings = Settings {
        public_url: public_url.to_owned(),
        spool_dir: config.data_dir.join("spool"),
        spool_limit: config.spool_limit_mb.saturating_mul(1 << 20),
        patience: Patience::default(),
        cut_off: gateway::CUT_OFF,
    };
    let gateway = Gateway::start(store.clone(), settings).await?;
    let backend = Backend {
        store: store.clone(),
        public_url: public_url.to_owned(),
        mail: mailer.is_some(),
        asset: assets::address,
        hooks: hooks(&store, gateway.router()),
    };
    let live = Live::start(&store);
    let router = http::router(http::Console::new(backend), &gateway, &store, live, public_url);
    let housekeeping = tokio::spawn(jobs::run(store.clone(), config.ledger_days));
    let watching = tokio::spawn(watch::run(store.clone()));
    let (stop_sending, stopping) = tokio::sync::watch::channel(false);
    let sending = tokio::spawn(outbox::run(store.clone(), mailer, stopping));
    // Before anybody is told that it stands: a signal that comes at once must find its handler.
    let stop = stop_signal()?;
    ready(gateway.router()).await?;
    accept(listener, router, stop, &gateway, Duration::from_secs(config.drain_seconds)).await;
    gateway.stop().await;
    housekeeping.abort();
    watching.abort();
    let _ = stop_sending.send(true);
    if tokio::time::timeout(SENDING, sending).await.is_err() {
        tracing::warn!("some mail or messages were still being sent; they are sent once more");
    }
    Ok(())
}

/// One line with the address, and where to begin.
async fn say_ready(store: &store::Store, public_url: &str) -> Result<(), Fatal> {
    let line = match store::installation::offer_token(store).await? {
        Some(token) => format!("Bursar is ready. Begin at {public_url}/setup?token={token}"),
        None => format!("Bursar is ready at {public_url}"),
    };
    println!("{line}");
    Ok(())
}

fn stop_signal() -> Result<impl Future<Output = ()>, Fatal> {
    let failed = |error| Fatal::new("signals", error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Takes connections until the signal; then lets running answers end, within bounds.
async fn accept(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
    gateway: &Gateway,
    drain: Duration,
) {
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => (stream, http::Peer(peer.ip())),
                Err(error) => {
                    // Out of file descriptors, most likely: some will be free in a moment.
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        connection(stream, peer, &router, &graceful);
    }
    drop(listener);
    tracing::info!("stopping: running answers may end");
    let mut drained = std::pin::pin!(graceful.shutdown());
    if tokio::time::timeout(drain.saturating_sub(LAST_WORDS), &mut drained).await.is_ok() {
        return;
    }
    gateway.end_answers();
    if tokio::time::timeout(LAST_WORDS, drained).await.is_err() {
        tracing::warn!("some answers did not end in time");
    }
}

/// Small answers, and each piece of a stream, go out at once.
fn at_once(stream: TcpStream) -> TcpStream {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection is gone already");
    }
    stream
}

fn connection(stream: TcpStream, peer: http::Peer, router: &Router, graceful: &GracefulShutdown) {
    let stream = at_once(stream);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(30));
    // Changes are written down with where they came from; calls know whose secret they carry.
    let known = move |mut request: Request<_>| {
        if !request.uri().path().starts_with("/v1/") {
            request.extensions_mut().insert(peer);
        }
        request
    };
    let service = TowerToHyperService::new(MapRequest::new(router.clone(), known));
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended");
        }
    });
}

/// What the gateway does for the console. A try-out call takes the same way as any other.
fn hooks(store: &store::Store, router: Router) -> Hooks {
    let store = store.clone();
    Hooks {
        deliver: Arc::new(move |org, id| {
            let store = store.clone();
            Box::pin(async move { outbox::deliver_now(&store, org, id).await })
        }),
        probe: Arc::new(|ask: ProbeAsk| {
            Box::pin(async move {
                let credential = ask.credential.as_deref();
                let asking =
                    gateway::probe(&ask.base_url, ask.dialect, credential, ask.allow_private, ask.patience);
                let found = asking.await;
                let good = found.status.is_some_and(|status| (200..300).contains(&status));
                ProbeAnswer { good, sentence: found.sentence, models: found.models }
            })
        }),
        call: Arc::new(move |ask: CallAsk| {
            let router = router.clone();
            Box::pin(async move {
                let request = Request::post(ask.route)
                    .header(header::AUTHORIZATION, format!("Bearer {}", ask.secret.trim()))
                    .header(header::CONTENT_TYPE, "application/json")
                    .header("anthropic-version", "2023-06-01")
                    .body(Body::from(ask.body));
                let Ok(request) = request else { return (400, "This cannot be sent.".to_owned()) };
                let Ok(response) = router.oneshot(request).await;
                let status = response.status().as_u16();
                let body = to_bytes(response.into_body(), 1 << 20).await.unwrap_or_default();
                (status, String::from_utf8_lossy(&body).into_owned())
            })
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_that_is_taken_waits_for_no_more() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, taken) = tokio::join!(client, listener.accept());
        assert!(!client.unwrap().nodelay().unwrap(), "it is not so by itself");
        assert!(at_once(taken.unwrap().0).nodelay().unwrap());
    }
}
