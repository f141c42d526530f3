//! Array->array codecs that change bytes, and what must move because of them.
//!
//! A pipeline without them has no steps. With them a chunk goes through all steps, one after the other, where it lies if a step leaves its
//! size, otherwise from one buffer to the next.
//!
//! Transpositions before a codec that looks at single elements are free like all others: its order does not matter. One that takes elements
//! in order (differences, packed bits, another shape) makes the transpositions behind it steps of their own.

use crate::buffer::{make_room, resize};
use crate::codec::bytes;
use crate::codec::scratch::Scratch;
use crate::dtype::{DataType, FillValue};
use crate::error::{Error, Result};
use crate::json::NamedConfig;
use crate::region::{BoxLayout, c_strides, copy_box, element_count, to_usize};

mod bitround;
mod cast_value;
mod cells;
mod delta;
mod dtype;
mod fixed_scale_offset;
mod number;
mod packbits;
mod quantize;
mod scale_offset;
#[cfg(test)]
mod tests;

use bitround::BitRound;
use cast_value::CastValue;
use cells::Cells;
use delta::Delta;
use dtype::Numpy;
use fixed_scale_offset::FixedScaleOffset;
use number::NumberType;
use packbits::PackBits;
use quantize::Quantize;
use scale_offset::ScaleOffset;

/// The name of the codec that casts as NumPy does.
const AS_TYPE: &str = "numcodecs.astype";

/// The names of all codecs that may be a [`Filter`].
pub(super) const NAMES: &[&str] = &[
    BitRound::NAME,
    CastValue::NAME,
    ScaleOffset::NAME,
    AS_TYPE,
    BitRound::NUMCODECS_NAME,
    Delta::NAME,
    FixedScaleOffset::NAME,
    PackBits::NAME,
    Quantize::NAME,
];

/// An array on its way through a pipeline, as the next codec sees it.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub(super) shape: Vec<u64>,
    pub(super) data_type: DataType,
    pub(super) fill: FillValue,
    /// Whether shape and fill value stand for those of any array: what depends on them is not looked at.
    pub(super) stands_in: bool,
}

impl Form {
    /// Size in bytes, of at least 1 and at most `isize::MAX`.
    pub(super) fn bytes(&self) -> Result<usize> {
        let item_size = self.data_type.item_size();
        let bytes = element_count(&self.shape).and_then(|count| count.checked_mul(item_size as u64)).map(to_usize);
        bytes.filter(|&bytes| isize::try_from(bytes).is_ok() && bytes > 0).ok_or_else(|| {
            Error::unsupported(format!(
                "chunks of shape {:?} with elements of {item_size} bytes; a chunk needs at least one byte, and at most 2^63",
                self.shape
            ))
        })
    }
}

/// What is done to a chunk on its way to the array->bytes codec.
#[derive(Clone, Debug)]
pub(super) struct Step {
    action: Action,
    decoded_bytes: usize,
    encoded_bytes: usize,
}

impl Step {
    /// Whether what is encoded tells how many elements there are, beside them.
    pub(super) fn counts(&self) -> bool {
        matches!(self.action, Action::PackBits(_))
    }

    /// Values without a place in the decoded type are then the fault of whoever asked for it.
    pub(super) fn ask(&mut self) {
        if let Action::CastValue(codec) = &mut self.action {
            codec.ask();
        }
    }

    /// Whether elements come back bit by bit, whatever they are and whatever types the codec was told.
    pub(super) fn is_exact(&self) -> bool {
        matches!(self.action, Action::Reshape | Action::Permute { .. } | Action::Swap(_) | Action::PackBits(_))
    }
}

#[derive(Clone, Debug)]
enum Action {
    /// Nothing: the elements are seen in another shape.
    Reshape,
    /// The elements of a shape are put into C order of the transposed shape.
    Permute {
        shape: Vec<u64>,
        order: Vec<usize>,
        item_size: usize,
    },
    /// The bytes of each number of so many bytes are reversed.
    Swap(usize),
    AsType(NumberType, NumberType),
    BitRound(BitRound),
    CastValue(CastValue),
    Delta(Delta),
    FixedScaleOffset(FixedScaleOffset),
    PackBits(PackBits),
    Quantize(Quantize),
    ScaleOffset(ScaleOffset),
}

/// A codec as its object describes it.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) step: Step,
    /// What it leaves to the next codec.
    pub(super) form: Form,
    /// Whether it takes elements in order.
    pub(super) in_order: bool,
    /// Whether the numbers that it takes, and those that it gives, are big endian by their NumPy names; none where these do not say, or the
    /// codec has none. The second is the width of the former.
    pub(super) decoded_order: Option<(bool, usize)>,
    pub(super) encoded_order: Option<bool>,
}

impl Filter {
    /// Reads the codec object for the array `form`.
    pub(super) fn from_metadata(config: &NamedConfig, form: &Form) -> Result<Self> {
        match config.name.as_str() {
            BitRound::NAME | BitRound::NUMCODECS_NAME | CastValue::NAME | ScaleOffset::NAME => Self::by_data_type(config, form),
            PackBits::NAME => Self::pack_bits(config, form),
            _ => Self::by_numpy_name(config, form),
        }
    }

    /// Codecs that know the type of their elements from the array.
    fn by_data_type(config: &NamedConfig, form: &Form) -> Result<Self> {
        let mut encoded = form.clone();
        let action = match config.name.as_str() {
            CastValue::NAME => {
                let (codec, data_type) = CastValue::from_metadata(config, &form.data_type)?;
                encoded.data_type = data_type;
                Action::CastValue(codec)
            }
            ScaleOffset::NAME => Action::ScaleOffset(ScaleOffset::from_metadata(config, &form.data_type)?),
            _ => Action::BitRound(BitRound::from_metadata(config, &form.data_type)?),
        };
        let filter = Self::new(action, form, encoded)?;
        if config.name == BitRound::NUMCODECS_NAME {
            return Ok(filter);
        }
        // The fill value is encoded like the elements.
        let mut fill = vec![0; filter.form.data_type.item_size()];
        let mut from = form.fill.as_bytes().to_vec();
        let encoded = if filter.step.in_place() {
            let encoded = filter.step.action.encode_fill(Cells::InPlace(&mut from));
            fill = from;
            encoded
        } else {
            filter.step.action.encode_fill(Cells::Apart(&from, &mut fill))
        };
        if !form.stands_in {
            encoded.map_err(in_fill)?;
        }
        let fill = FillValue::from_bytes(&filter.form.data_type, &fill)?;
        Ok(Self { form: Form { fill, ..filter.form }, ..filter })
    }

    /// Codecs of numcodecs, which name the types themselves. Elements of another type of the same size are taken for theirs, as NumPy's
    /// views do it. The fill value is cast, and otherwise left as it is.
    fn by_numpy_name(config: &NamedConfig, form: &Form) -> Result<Self> {
        let (decoded_name, encoded_name, further): (_, _, &[&str]) = match config.name.as_str() {
            AS_TYPE => ("decode_dtype", "encode_dtype", &[]),
            FixedScaleOffset::NAME => ("dtype", "astype", &["offset", "scale"]),
            Quantize::NAME => ("dtype", "astype", &["digits"]),
            _ => ("dtype", "astype", &[]),
        };
        config.only(&[&[decoded_name, encoded_name], further].concat())?;
        let at = format!("/configuration/{decoded_name}");
        let Some(decoded) = Numpy::from_member(config, decoded_name)?.or_else(|| Numpy::of(&form.data_type)) else {
            return Err(Error::unsupported(format!("{} for data type {}; supported are numbers", config.name, form.data_type)));
        };
        if decoded.item_size() != form.data_type.item_size() || form.data_type.is_variable_length() {
            let what = format!("elements of {} bytes, where those of data type {} reach the codec", decoded.item_size(), form.data_type);
            return Err(Error::metadata(at, what));
        }
        let encoded = match Numpy::from_member(config, encoded_name)? {
            Some(encoded) => encoded,
            None if config.name == AS_TYPE => {
                return Err(Error::metadata(format!("/configuration/{encoded_name}"), "missing; this member is mandatory"));
            }
            None => decoded,
        };
        let action = match config.name.as_str() {
            AS_TYPE if decoded.complex != encoded.complex => {
                return Err(Error::unsupported(format!("{AS_TYPE} between complex numbers and others")));
            }
            AS_TYPE => Action::AsType(decoded.number, encoded.number),
            FixedScaleOffset::NAME => Action::FixedScaleOffset(FixedScaleOffset::from_metadata(config, decoded, encoded)?),
            Quantize::NAME => Action::Quantize(Quantize::from_metadata(config, decoded, encoded)?),
            _ => Action::Delta(Delta::new(decoded, encoded)?),
        };
        let mut fill = vec![0; encoded.item_size()];
        Cells::Apart(form.fill.as_bytes(), &mut fill).cast(decoded.number, encoded.number);
        let fill = FillValue::from_bytes(&encoded.data_type(), &fill)?;
        let in_order = matches!(action, Action::Delta(_));
        let filter = Self::new(action, form, Form { data_type: encoded.data_type(), fill, ..form.clone() })?;
        let decoded_order = decoded.big.map(|big| (big, decoded.number.size()));
        Ok(Self { in_order, decoded_order, encoded_order: encoded.big, ..filter })
    }

    fn pack_bits(config: &NamedConfig, form: &Form) -> Result<Self> {
        config.only(&[])?;
        if form.data_type != DataType::Bool {
            return Err(Error::metadata("/name", format!("{} for data type {}; it takes bool", PackBits::NAME, form.data_type)));
        }
        let codec = PackBits::new(form.bytes()?);
        let fill = FillValue::from_bytes(&DataType::UInt8, form.fill.as_bytes())?;
        let encoded = Form { shape: vec![codec.encoded_bytes() as u64], data_type: DataType::UInt8, fill, ..*form };
        Ok(Self { in_order: true, ..Self::new(Action::PackBits(codec), form, encoded)? })
    }

    fn new(action: Action, decoded: &Form, encoded: Form) -> Result<Self> {
        let step = Step { action, decoded_bytes: decoded.bytes()?, encoded_bytes: encoded.bytes()? };
        Ok(Self { step, form: encoded, in_order: false, decoded_order: None, encoded_order: None })
    }
}

fn in_fill(error: Error) -> Error {
    match error {
        Error::InvalidArgument { what } => Error::metadata("", format!("the fill value cannot be encoded: {what}")),
        other => other,
    }
}

impl Step {
    /// Another shape of as many elements.
    pub(super) fn reshape(form: &Form) -> Result<Self> {
        let bytes = form.bytes()?;
        Ok(Self { action: Action::Reshape, decoded_bytes: bytes, encoded_bytes: bytes })
    }

    /// A transposition of `form`; encoded axis `i` is decoded axis `order[i]`.
    pub(super) fn permute(form: &Form, order: &[usize]) -> Result<Self> {
        let bytes = form.bytes()?;
        let action = Action::Permute { shape: form.shape.clone(), order: order.to_vec(), item_size: form.data_type.item_size() };
        Ok(Self { action, decoded_bytes: bytes, encoded_bytes: bytes })
    }

    /// Numbers of `width` bytes, read in the other byte order.
    pub(super) fn swap(form: &Form, width: usize) -> Result<Self> {
        let bytes = form.bytes()?;
        Ok(Self { action: Action::Swap(width), decoded_bytes: bytes, encoded_bytes: bytes })
    }

    /// Whether each element is decoded and encoded by itself, so that a chunk can go through in pieces.
    pub(super) fn is_elementwise(&self) -> bool {
        !matches!(self.action, Action::Reshape | Action::Permute { .. } | Action::Delta(_) | Action::PackBits(_))
    }

    /// Whether decoding changes nothing.
    pub(super) fn decodes_to_itself(&self) -> bool {
        match self.action {
            Action::Reshape | Action::BitRound(_) => true,
            // Not every byte is a boolean as it should be.
            Action::AsType(decoded, encoded) => decoded == encoded && decoded != NumberType::Bool,
            Action::Quantize(codec) => codec.keeps_type(),
            _ => false,
        }
    }

    /// Whether it decodes from one buffer to another.
    fn decodes_apart(&self) -> bool {
        !matches!(self.action, Action::Reshape | Action::Swap(_) | Action::BitRound(_))
    }

    /// The encoded size of `len` decoded bytes, which are all of a chunk, or some of its elements where the step is elementwise.
    fn encoded_len(&self, len: usize) -> usize {
        if len == self.decoded_bytes {
            return self.encoded_bytes;
        }
        self.action.item_sizes().map_or(len, |(decoded, encoded)| len / decoded * encoded)
    }

    /// Whether it leaves the size of each element and its place.
    fn in_place(&self) -> bool {
        !matches!(self.action, Action::Permute { .. } | Action::PackBits(_)) && self.action.item_sizes().is_none_or(|(a, b)| a == b)
    }
}

impl Action {
    /// The sizes of a decoded and an encoded number; none where they are the same.
    fn item_sizes(&self) -> Option<(usize, usize)> {
        match self {
            Self::AsType(decoded, encoded) => Some((decoded.size(), encoded.size())),
            Self::CastValue(codec) => Some(codec.sizes()),
            Self::Delta(codec) => Some(codec.sizes()),
            Self::FixedScaleOffset(codec) => Some(codec.sizes()),
            Self::Quantize(codec) => Some(codec.sizes()),
            _ => None,
        }
    }

    fn encode_fill(&self, cells: Cells<'_>) -> Result<()> {
        if let Self::CastValue(codec) = self { codec.encode_fill(cells) } else { self.encode(cells) }
    }

    fn encode(&self, cells: Cells<'_>) -> Result<()> {
        match (self, cells) {
            (Self::Permute { shape, order, item_size }, Cells::Apart(from, to)) => {
                let (decoded, encoded) = permuted_strides(shape, order, *item_size);
                let (source, target) = (BoxLayout { offset: 0, strides: &decoded }, BoxLayout { offset: 0, strides: &encoded });
                copy_box(shape, *item_size, from, source, to, target);
            }
            (Self::Swap(width), Cells::InPlace(bytes)) => bytes::swap(bytes, *width),
            (Self::BitRound(codec), Cells::InPlace(bytes)) => codec.encode(bytes),
            (Self::PackBits(codec), Cells::Apart(from, to)) => codec.encode(from, to),
            (Self::AsType(decoded, encoded), cells) => cells.cast(*decoded, *encoded),
            (Self::CastValue(codec), cells) => codec.encode(cells)?,
            (Self::Delta(codec), cells) => codec.encode(cells),
            (Self::FixedScaleOffset(codec), cells) => codec.encode(cells)?,
            (Self::Quantize(codec), cells) => codec.encode(cells),
            (Self::ScaleOffset(codec), cells) => codec.encode(cells),
            (Self::Reshape | Self::Permute { .. } | Self::Swap(_) | Self::BitRound(_) | Self::PackBits(_), _) => {}
        }
        Ok(())
    }

    fn decode(&self, cells: Cells<'_>) -> Result<()> {
        match (self, cells) {
            (Self::Permute { shape, order, item_size }, Cells::Apart(from, to)) => {
                let (decoded, encoded) = permuted_strides(shape, order, *item_size);
                let (source, target) = (BoxLayout { offset: 0, strides: &encoded }, BoxLayout { offset: 0, strides: &decoded });
                copy_box(shape, *item_size, from, source, to, target);
            }
            (Self::Swap(width), Cells::InPlace(bytes)) => bytes::swap(bytes, *width),
            (Self::PackBits(codec), Cells::Apart(from, to)) => codec.decode(from, to)?,
            (Self::AsType(decoded, encoded), cells) => cells.cast(*encoded, *decoded),
            (Self::CastValue(codec), cells) => codec.decode(cells)?,
            (Self::Delta(codec), cells) => codec.decode(cells),
            (Self::FixedScaleOffset(codec), cells) => codec.decode(cells),
            (Self::Quantize(codec), cells) => codec.decode(cells),
            (Self::ScaleOffset(codec), cells) => codec.decode(cells),
            (Self::Reshape | Self::Permute { .. } | Self::Swap(_) | Self::BitRound(_) | Self::PackBits(_), _) => {}
        }
        Ok(())
    }
}

/// The strides of the decoded axes on both sides of a transposition.
fn permuted_strides(shape: &[u64], order: &[usize], item_size: usize) -> (Vec<usize>, Vec<usize>) {
    let encoded_shape: Vec<u64> = order.iter().map(|&axis| shape[axis]).collect();
    let mut encoded = vec![0; shape.len()];
    for (&axis, stride) in order.iter().zip(c_strides(&encoded_shape, item_size)) {
        encoded[axis] = stride;
    }
    (c_strides(shape, item_size), encoded)
}

/// Memory in bytes for buffers between steps, decoding or encoding.
pub(super) fn memory(steps: &[Step]) -> u64 {
    let sizes: Vec<usize> = steps.iter().filter(|step| !step.in_place()).map(|step| step.encoded_bytes).collect();
    match sizes.as_slice() {
        [] => 0,
        [one] => *one as u64,
        more => 2 * more.iter().copied().max().unwrap_or(0) as u64,
    }
}

/// Undoes all steps. `fetch` gives what the last of them made: a part of its own input, or what it filled the buffer with. The result is in `out`.
pub(super) fn decode<'a>(
    steps: &[Step],
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
    fetch: impl FnOnce(&mut Scratch, &mut Vec<u8>) -> Result<Option<&'a [u8]>>,
) -> Result<()> {
    let Some(first_apart) = steps.iter().position(|step| !step.in_place()) else {
        let mut left = steps;
        if let Some(part) = fetch(scratch, out)? {
            left = decode_last(steps, part, out)?;
        }
        return left.iter().rev().try_for_each(|step| step.action.decode(Cells::InPlace(out)));
    };
    let mut pair = Pair::take(&steps[first_apart + 1..], scratch);
    match fetch(scratch, &mut pair.current)? {
        Some(part) if steps.len() == 1 => {
            pair.give(scratch);
            return decode_last(steps, part, out).map(|_| ());
        }
        Some(part) => copy(part, &mut pair.current)?,
        None => {}
    }
    for step in steps[first_apart + 1..].iter().rev() {
        if step.in_place() {
            step.action.decode(Cells::InPlace(&mut pair.current))?;
        } else {
            pair.pass(step.decoded_bytes, |cells| step.action.decode(cells))?;
        }
    }
    resize(out, steps[first_apart].decoded_bytes)?;
    steps[first_apart].action.decode(Cells::Apart(&pair.current, out))?;
    pair.give(scratch);
    steps[..first_apart].iter().rev().try_for_each(|step| step.action.decode(Cells::InPlace(out)))
}

/// Fills `out` with what the last step is undone to, or where it cannot go from one buffer to another, with a copy. Gives the steps that are left.
fn decode_last<'a>(steps: &'a [Step], encoded: &[u8], out: &mut Vec<u8>) -> Result<&'a [Step]> {
    match steps.split_last() {
        Some((last, left)) if last.decodes_apart() => {
            resize(out, last.decoded_bytes)?;
            last.action.decode(Cells::Apart(encoded, out))?;
            Ok(left)
        }
        _ => copy(encoded, out).map(|()| steps),
    }
}

fn copy(from: &[u8], to: &mut Vec<u8>) -> Result<()> {
    make_room(to, from.len())?;
    to.extend_from_slice(from);
    Ok(())
}

/// Does all steps to `data`, whose bytes may change, and hands the result to `pass_on`. It is all of a chunk, or where all steps are elementwise,
/// any of its elements.
pub(super) fn encode(
    steps: &[Step],
    data: &mut [u8],
    scratch: &mut Scratch,
    pass_on: impl FnOnce(&mut [u8], &mut Scratch) -> Result<()>,
) -> Result<()> {
    let first_apart = steps.iter().position(|step| !step.in_place()).unwrap_or(steps.len());
    let (before, rest) = steps.split_at(first_apart);
    before.iter().try_for_each(|step| step.action.encode(Cells::InPlace(data)))?;
    let Some((apart, rest)) = rest.split_first() else { return pass_on(data, scratch) };
    let mut pair = Pair::take(rest, scratch);
    resize(&mut pair.current, apart.encoded_len(data.len()))?;
    apart.action.encode(Cells::Apart(data, &mut pair.current))?;
    for step in rest {
        if step.in_place() {
            step.action.encode(Cells::InPlace(&mut pair.current))?;
        } else {
            pair.pass(step.encoded_len(pair.current.len()), |cells| step.action.encode(cells))?;
        }
    }
    pass_on(&mut pair.current, scratch)?;
    pair.give(scratch);
    Ok(())
}

/// The buffers between steps, whose contents are left over from earlier uses. Both are lent for as long as there are steps, so that codecs behind them never get them, and make them larger than
/// [`memory`] says.
struct Pair {
    current: Vec<u8>,
    /// None where no step puts anything there.
    other: Option<Vec<u8>>,
}

impl Pair {
    /// Takes buffers for a first step that fills one, and these that follow.
    fn take(following: &[Step], scratch: &mut Scratch) -> Self {
        let other = following.iter().any(|step| !step.in_place()).then(|| scratch.take_used());
        Self { current: scratch.take_used(), other }
    }

    /// Lets a step fill `len` bytes of the other buffer, which becomes the current one.
    fn pass(&mut self, len: usize, step: impl FnOnce(Cells<'_>) -> Result<()>) -> Result<()> {
        let other = self.other.get_or_insert_default();
        resize(other, len)?;
        step(Cells::Apart(&self.current, other))?;
        std::mem::swap(&mut self.current, other);
        Ok(())
    }

    fn give(self, scratch: &mut Scratch) {
        scratch.give(self.current);
        self.other.into_iter().for_each(|other| scratch.give(other));
    }
}
