//! Shards of so many units that their indexes are not held.

use super::*;
use crate::store::{Entry, Store};

const COUNT: u64 = 9000;

fn sharded_with(checksum: &str, location: &str) -> String {
    format!(
        r#"[{{"name": "sharding_indexed", "configuration": {{"chunk_shape": [1, 2], "codecs": [{BYTES}],
            "index_codecs": [{BYTES}, {{"name": "{checksum}"}}], "index_location": "{location}"}}}}]"#
    )
}

fn expected(unit: &[u64]) -> [u16; 2] {
    let number = u16::try_from(unit[0] * 100 + unit[1]).unwrap();
    if number % 5 == 0 { [FILL; 2] } else { [number + 10, 3] }
}

fn names(array: &Array) -> Vec<String> {
    let mut names = Vec::new();
    let visit = &mut |entry: Entry| {
        names.push(entry.name);
        Ok(())
    };
    array.store().list(array.prefix(), visit).unwrap();
    names.sort();
    names
}

/// FMT-STR-7
#[test]
fn shards_with_large_indexes_are_written_and_read() {
    for (checksum, location) in [("crc32c", "end"), ("crc32c", "start"), ("numcodecs.fletcher32", "end")] {
        // Two shards, of which the second is not full.
        let array = array(&[180, 200], &[90, 200], &sharded_with(checksum, location));
        let units: Vec<_> = Region::whole(&array.unit_grid().counts()).indices().collect();
        assert_eq!(units.len() as u64, 2 * COUNT);
        let (writer, written) = (UnitWriter::new(&array), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (writer, units, written) = (&writer, &units, &written);
                scope.spawn(move || {
                    let mut scratch = WriteScratch::default();
                    for i in (thread..units.len()).step_by(3) {
                        let unit = &units[i * 7919 % units.len()];
                        let mut data: Vec<u8> = expected(unit).iter().flat_map(|value| value.to_ne_bytes()).collect();
                        let now = writer.write(unit, &mut data, &mut scratch);
                        written.fetch_add(now.unwrap().stored_bytes, Ordering::Relaxed);
                    }
                });
            }
        });
        writer.finish().unwrap();
        assert_eq!(names(&array), ["c", "zarr.json"], "nothing else is left");
        let stored: u64 = (0..2).map(|i| array.stored_chunk_bytes(&[i, 0]).unwrap().unwrap()).sum();
        assert_eq!(stored, written.into_inner());
        let mut reader = UnitReader::holding(&array, 2);
        for i in 0..units.len() {
            let unit = &units[i * 4799 % units.len()];
            let [first, second] = expected(unit);
            let check = &mut |data: Option<&[u8]>| {
                let got: Option<&[u16]> = data.map(bytemuck::cast_slice);
                assert_eq!(got, (first != FILL).then_some(&[first, second][..]), "{unit:?}");
                Ok(())
            };
            reader.read(unit, check).unwrap();
        }
        let whole = array.read::<u16>(&Region::whole(&[180, 200])).unwrap();
        assert_eq!(whole, units.iter().flat_map(|unit| expected(unit)).collect::<Vec<_>>());
        if checksum == "crc32c" {
            assert!(UnitReader::held_bytes(&array) <= (256 << 10) + 64);
            assert!(UnitWriter::memory_bytes_per_open_shard(&array) <= 290 << 10);
        }
    }
}

/// FMT-STR-7
#[test]
fn a_store_that_fails_is_told_of() {
    // Units are written in such an order that pages take the place of one another.
    let order: Vec<u64> = (0..2).flat_map(|round| (0..17).map(move |page| 512 * page + round)).collect();
    for fault in (0..400).step_by(7) {
        let faulty = Arc::new(FaultyStore::new(Arc::new(MemoryStore::new()), Fault::Never));
        let document = metadata(&[90, 200], &[90, 200], &sharded_with("crc32c", "end"));
        let created = Array::create_in(faulty.clone(), Key::new("a").unwrap(), document.clone()).unwrap();
        let store: Arc<dyn Store> = Arc::new(FaultyStore::new(faulty.inner(), Fault::From(fault)));
        let array = Array::with_metadata(store, created.prefix().clone(), document).unwrap();
        let (writer, mut scratch) = (UnitWriter::new(&array), WriteScratch::default());
        let unit = |number: u64| [number / 100, number % 100];
        let mut run = || -> Result<()> {
            for &number in &order {
                writer.write(&unit(number), &mut [1; 4], &mut scratch)?;
            }
            (0..COUNT).filter(|number| !order.contains(number)).try_for_each(|number| writer.skip(&unit(number)).map(drop))
        };
        let result = run();
        if result.is_ok() {
            assert!(fault > 100, "{fault}");
            writer.finish().unwrap();
            return assert_eq!(created.read::<u16>(&Region::new([0, 0], [1, 2]).unwrap()).unwrap(), [257, 257]);
        }
        assert!(writer.finish().is_err() || fault > 100, "{fault}: {result:?}");
    }
    panic!("more operations than there can be");
}
