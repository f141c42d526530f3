//! `rezarr demo`: the main job on data that it makes itself.
//!
//! A survey of variable stars is written as it is observed, one epoch of all objects a chunk, and rechunked for those who want all epochs of
//! one object.

use std::path::Path;
use std::time::Instant;

use rezarr::{
    Array, ArrayMetadata, Attributes, ChunkSpec, Codecs, DataType, Edge, Error, FillValue, Group, Layout, RechunkOptions, Region,
    VerifyOptions,
};
use serde_json::json;

use crate::Answer;
use crate::args::DemoArgs;
use crate::output::{human, line};
use crate::rechunk::print_report;
use crate::stop;

/// Measurements in two bands, each a magnitude and its error.
const BANDS: u64 = 2;
const VALUES: u64 = 2;

/// Makes the survey, rechunks it, verifies it, and reads one light curve from both.
pub(crate) fn run(args: &DemoArgs) -> Answer {
    let stop = stop::flag()?;
    if args.dir.exists() {
        return Err(Error::AlreadyExists {
            path: args.dir.display().to_string(),
            advice: String::from("remove it, or name another with --dir"),
        });
    }
    let (by_epoch, by_object) = (args.dir.join("by-epoch.zarr"), args.dir.join("by-object.zarr"));
    let raw = u64::from(args.objects) * u64::from(args.epochs) * BANDS * VALUES * 4;
    let begun = Instant::now();
    line(&format!("Writing a survey of {} objects and {} epochs ({}), one epoch a chunk ...", args.objects, args.epochs, human(raw)))?;
    write_survey(&by_epoch, args.objects.into(), args.epochs.into())?;
    line(&format!("  {:.1} s\n", begun.elapsed().as_secs_f64()))?;

    line(&format!("Rechunking to 1000 objects and all epochs a chunk, within {} ...", human(args.memory)))?;
    let chunks = ChunkSpec::Names(vec![("object".into(), Edge::Elements(1000)), ("epoch".into(), Edge::All)]);
    let options = RechunkOptions::new().chunks(chunks).memory(args.memory).cancel(&stop);
    let report = rezarr::rechunk(&by_epoch, Some(&by_object), options)?;
    print_report(&report, false)?;

    let begun = Instant::now();
    line("\nVerifying every element ...")?;
    let verdict = rezarr::verify(&by_epoch, &by_object, VerifyOptions::new().memory(args.memory).spill_dir(&args.dir).cancel(&stop))?;
    verdict.differences.iter().try_for_each(|difference| line(&format!("  differs: {difference}")))?;
    line(&format!(
        "  {} elements, {}, {:.1} s\n",
        verdict.elements,
        if verdict.equal { "all equal" } else { "NOT equal" },
        begun.elapsed().as_secs_f64()
    ))?;

    let object = u64::from(args.objects) / 2;
    line(&format!("Reading the light curve of object {object}:"))?;
    let before = read_curve(&by_epoch, object, "by epoch ")?;
    let after = read_curve(&by_object, object, "by object")?;
    let same = before.iter().map(|v| v.to_bits()).eq(after.iter().map(|v| v.to_bits()));
    line(&format!("  the same {} values: {}\n", after.len(), if same { "yes" } else { "NO" }))?;
    line("Open the result in Python (pip install zarr xarray):")?;
    line("  import xarray")?;
    line(&format!("  survey = xarray.open_zarr({:?})", by_object.display().to_string()))?;
    line(&format!("  survey.lightcurves.sel(object={object})[:, 0, 0].plot()"))?;
    Ok(verdict.equal && same)
}

/// Reads one object's light curve, and says how many chunks that took.
fn read_curve(store: &Path, object: u64, name: &str) -> Result<Vec<f32>, Error> {
    let array = Group::open(store)?.array("lightcurves")?;
    let shape = array.shape().to_vec();
    let region = Region::new([object, 0, 0, 0], [1, shape[1], shape[2], shape[3]])?;
    let begun = Instant::now();
    let curve: Vec<f32> = array.read(&region)?;
    let seconds = begun.elapsed().as_secs_f64();
    let chunks = array.unit_grid().chunks_over(&region).element_count().unwrap_or(0);
    line(&format!("  {name}: {chunks} chunk reads, {:.1} ms", seconds * 1e3))?;
    Ok(curve)
}

fn write_survey(path: &Path, objects: u64, epochs: u64) -> Result<(), Error> {
    let attributes = json!({"title": "Light curves of a synthetic survey of variable stars"});
    let mut survey = Group::create(path, attributes_of(attributes)?)?;
    coordinate(&survey, "object", &(0..objects).map(|object| object as f64).collect::<Vec<_>>(), "identifier of the object", "1")?;
    coordinate(
        &survey,
        "epoch",
        &(0..epochs).map(|epoch| epoch as f64 * 3.0).collect::<Vec<_>>(),
        "time of the epoch",
        "days since 2020-01-01",
    )?;
    let shape = vec![objects, epochs, BANDS, VALUES];
    let layout = Layout { chunk_shape: vec![objects, 1, BANDS, VALUES], shard_shape: None, codecs: Codecs::zstd(3)? };
    let fill = FillValue::parse(&DataType::Float32, "nan")?;
    let names = ["object", "epoch", "band", "value"].map(|name| Some(name.to_owned())).to_vec();
    let metadata = ArrayMetadata::new(shape, DataType::Float32, Some(fill), &layout)?.with_dimension_names(Some(names))?;
    let array = survey.create_array("lightcurves", metadata)?;
    write_epochs(&array, objects, epochs)?;
    survey.consolidate()
}

fn attributes_of(value: serde_json::Value) -> Result<Attributes, Error> {
    match value {
        serde_json::Value::Object(map) => Attributes::from_map(map),
        _ => Ok(Attributes::default()),
    }
}

fn coordinate(group: &Group, name: &str, values: &[f64], long_name: &str, units: &str) -> Result<(), Error> {
    let len = values.len() as u64;
    let layout = Layout { chunk_shape: vec![len], shard_shape: None, codecs: Codecs::zstd(3)? };
    let metadata = ArrayMetadata::new(vec![len], DataType::Float64, None, &layout)?
        .with_dimension_names(Some(vec![Some(name.to_owned())]))?
        .with_attributes(attributes_of(json!({"long_name": long_name, "units": units}))?);
    group.create_array(name, metadata)?.write(&Region::whole(&[len]), values)
}

/// Two threads write alternate epochs; each holds one epoch at a time.
fn write_epochs(array: &Array, objects: u64, epochs: u64) -> Result<(), Error> {
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|first| {
                scope.spawn(move || {
                    (first..epochs).step_by(2).try_for_each(|epoch| {
                        let values: Vec<f32> = (0..objects).flat_map(|object| observation(object, epoch)).collect();
                        array.write(&Region::new([0, epoch, 0, 0], [objects, 1, BANDS, VALUES])?, &values)
                    })
                })
            })
            .collect();
        writers.into_iter().try_for_each(|writer| writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Magnitude and error in two bands: a sine of the object's own period and amplitude, and noise; one observation in twenty failed.
fn observation(object: u64, epoch: u64) -> [f32; 4] {
    let star = hash(object);
    let noise = hash(star ^ hash(epoch));
    if noise.is_multiple_of(20) {
        return [f32::NAN; 4];
    }
    let unit = |bits: u64, shift: u32| ((bits >> shift) & 0xFFFF) as f32 / 65536.0;
    let phase = epoch as f32 * 3.0 / (1.0 + 99.0 * unit(star, 0)) + unit(star, 16);
    let wave = (phase * std::f32::consts::TAU).sin() * unit(star, 32);
    let error = 0.01 + 0.04 * unit(star, 48);
    let base = 14.0 + 6.0 * unit(star, 8);
    // Catalogues are written to the millimagnitude.
    let rounded = |value: f32| (value * 1000.0).round() / 1000.0;
    [
        rounded(base + wave + error * unit(noise, 0)),
        rounded(error),
        rounded(base - 0.3 + 0.8 * wave + error * unit(noise, 16)),
        rounded(error),
    ]
}

/// A well-mixed number (the finaliser of SplitMix64).
fn hash(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
