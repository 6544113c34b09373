//! Makes a fuzz target a plain program on stable Rust: it replays its corpus, or mutates it for a while.

use std::io;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Target;
use crate::random::Random;

const HELP: &str = "[--write-seeds] [--random SECONDS [--seed N]] [FILE OR FOLDER ...]";

/// What the command line asks for.
struct Wish {
    write_seeds: bool,
    random: Option<Duration>,
    seed: u64,
    paths: Vec<PathBuf>,
}

/// Runs the target on what the command line says; on its own corpus, if that says nothing.
///
/// # Errors
/// When an input fails, or a file cannot be read or written.
pub fn main(target: Target) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let wish = read(std::env::args().skip(1)).ok_or_else(|| io::Error::other(HELP))?;
    if wish.write_seeds {
        return write_seeds(target, &folder);
    }
    let paths = if wish.paths.is_empty() { vec![folder] } else { wish.paths };
    let mut corpus = Vec::new();
    for path in paths {
        collect(&path, &mut corpus)?;
    }
    for (path, input) in &corpus {
        let end = catch_unwind(|| (target.run)(input));
        end.map_err(|_| io::Error::other(format!("{} fails", path.display())))?;
    }
    println!("{}: {} inputs replayed", target.name, corpus.len());
    let corpus: Vec<Vec<u8>> = corpus.into_iter().map(|(_, input)| input).collect();
    match wish.random {
        Some(time) if !corpus.is_empty() => mutate(target, &corpus, time, wish.seed),
        _ => Ok(()),
    }
}

fn read(mut arguments: impl Iterator<Item = String>) -> Option<Wish> {
    let mut wish = Wish { write_seeds: false, random: None, seed: 1, paths: Vec::new() };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--write-seeds" => wish.write_seeds = true,
            "--random" => wish.random = Some(Duration::from_secs(arguments.next()?.parse().ok()?)),
            "--seed" => wish.seed = arguments.next()?.parse().ok()?,
            option if option.starts_with("--") => return None,
            path => wish.paths.push(path.into()),
        }
    }
    Some(wish)
}

fn write_seeds(target: Target, folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let seeds = (target.seeds)();
    for (number, seed) in seeds.iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number:03}")), seed)?;
    }
    println!("{}: {} seeds written", target.name, seeds.len());
    Ok(())
}

/// A file, or all files of a folder in the order of their names.
fn collect(path: &Path, into: &mut Vec<(PathBuf, Vec<u8>)>) -> io::Result<()> {
    if !path.is_dir() {
        into.push((path.into(), std::fs::read(path)?));
        return Ok(());
    }
    let mut paths =
        std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    paths.iter().try_for_each(|path| collect(path, into))
}

/// Runs mutated inputs until time is up; one that fails is kept.
fn mutate(target: Target, corpus: &[Vec<u8>], time: Duration, seed: u64) -> io::Result<()> {
    let (mut random, start, mut runs) = (Random::new(seed), Instant::now(), 0u64);
    while start.elapsed() < time {
        let input = random.mutate(corpus);
        if catch_unwind(|| (target.run)(&input)).is_err() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts").join(target.name);
            std::fs::create_dir_all(&folder)?;
            let path = folder.join(format!("seed-{seed}-run-{runs}"));
            std::fs::write(&path, &input)?;
            return Err(io::Error::other(format!("an input fails, see {}", path.display())));
        }
        runs += 1;
    }
    println!("{}: {runs} mutated inputs, seed {seed}", target.name);
    Ok(())
}
