//! What the peer comparison needs in Rust: `peers-native limit|ideal-ram|zarrs-blocks JOB.json`.

mod blosc;
mod codec;
mod grid;
mod ideal;
mod job;
mod limit;
mod scatter;
mod store;
mod zarrs_blocks;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [way, path] = arguments.as_slice() else {
        return Err("usage: peers-native limit|ideal-ram|zarrs-blocks JOB.json".into());
    };
    let job = job::Job::read(path)?;
    match way.as_str() {
        "limit" => limit::run(&job),
        "ideal-ram" => ideal::run(&job),
        "zarrs-blocks" => zarrs_blocks::run(&job),
        other => Err(format!("{other}: not one of limit, ideal-ram, zarrs-blocks").into()),
    }
}
