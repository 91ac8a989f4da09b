//! Flow logs as Parquet, written as AWS types them: some integers of 32 bits, some of 64, the rest text, all nullable.

use std::sync::Arc;

use bytes::Bytes;
pub use parquet::basic::Compression;
use parquet::basic::{ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::Type;

const INT32: [&str; 6] = ["version", "srcport", "dstport", "protocol", "tcp-flags", "traffic-path"];
const INT64: [&str; 8] = [
    "packets",
    "bytes",
    "start",
    "end",
    "packets-lost-no-route",
    "packets-lost-blackhole",
    "packets-lost-mtu-exceeded",
    "packets-lost-ttl-expired",
];

/// How a file is written.
#[derive(Clone, Debug)]
pub struct Form {
    /// The codec of its pages.
    pub compression: Compression,
    /// Rows of a row group.
    pub group_rows: usize,
    /// Rows of a page.
    pub page_rows: usize,
    /// Whether values that come often are kept in dictionaries.
    pub has_dictionaries: bool,
    /// Whether all integers have 64 bits.
    pub is_wide: bool,
    /// Whether pages are of the second version.
    pub has_pages_v2: bool,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            compression: Compression::SNAPPY,
            group_rows: 100_000,
            page_rows: 20_000,
            has_dictionaries: true,
            is_wide: false,
            has_pages_v2: false,
        }
    }
}

/// A file with the records of text: the names of the fields as a header has them, and lines with a value for each.
pub fn file(header: &str, records: &[impl AsRef<str>], form: &Form) -> Bytes {
    let mut file = File::new(header, form, Vec::new());
    records.chunks(form.group_rows.max(1)).for_each(|records| file.write(records));
    file.finish().into()
}

/// A file that is written row group by row group.
pub struct File<W: std::io::Write + Send> {
    names: Vec<String>,
    is_wide: bool,
    writer: SerializedFileWriter<W>,
}

impl<W: std::io::Write + Send> File<W> {
    /// A file without rows.
    pub fn new(header: &str, form: &Form, out: W) -> Self {
        let names: Vec<String> = header.split(' ').map(str::to_owned).collect();
        let column = |name: &String| {
            let physical = physical(name, form.is_wide);
            let text =
                if physical == Physical::BYTE_ARRAY { ConvertedType::UTF8 } else { ConvertedType::NONE };
            let key = name.replace('-', "_");
            let builder = Type::primitive_type_builder(&key, physical);
            let builder = builder.with_repetition(Repetition::OPTIONAL).with_converted_type(text);
            Arc::new(builder.build().unwrap())
        };
        let columns = names.iter().map(column).collect();
        let schema = Type::group_type_builder("flow_log").with_fields(columns).build().unwrap();
        let version = if form.has_pages_v2 { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 };
        let properties = WriterProperties::builder()
            .set_compression(form.compression)
            .set_data_page_row_count_limit(form.page_rows)
            .set_write_batch_size(form.page_rows.min(1024))
            .set_dictionary_enabled(form.has_dictionaries)
            .set_writer_version(version)
            .build();
        let writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties)).unwrap();
        Self { names, is_wide: form.is_wide, writer }
    }

    /// Adds a row group.
    pub fn write(&mut self, records: &[impl AsRef<str>]) {
        let rows: Vec<Vec<&str>> =
            records.iter().map(|record| record.as_ref().split(' ').collect()).collect();
        let mut group = self.writer.next_row_group().unwrap();
        for (place, name) in self.names.iter().enumerate() {
            let values: Vec<Option<&str>> =
                rows.iter().map(|row| Some(row[place]).filter(|value| *value != "-")).collect();
            match physical(name, self.is_wide) {
                Physical::INT32 => write::<Int32Type>(&mut group, &values, |value| value.parse().unwrap()),
                Physical::INT64 => write::<Int64Type>(&mut group, &values, |value| value.parse().unwrap()),
                _ => write::<ByteArrayType>(&mut group, &values, |value| ByteArray::from(value)),
            }
        }
        group.close().unwrap();
    }

    /// Ends the file.
    pub fn finish(self) -> W {
        self.writer.into_inner().unwrap()
    }
}

fn physical(name: &str, is_wide: bool) -> Physical {
    if INT32.contains(&name) && !is_wide {
        Physical::INT32
    } else if INT32.contains(&name) || INT64.contains(&name) {
        Physical::INT64
    } else {
        Physical::BYTE_ARRAY
    }
}

fn write<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, impl std::io::Write + Send>,
    values: &[Option<&str>],
    typed: impl Fn(&str) -> T::T,
) {
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<T::T> = values.iter().flatten().map(|value| typed(value)).collect();
    let mut column: SerializedColumnWriter<'_> = group.next_column().unwrap().unwrap();
    column.typed::<T>().write_batch(&values, Some(&levels), None).unwrap();
    column.close().unwrap();
}

/// A file of columns as a message of Parquet's text form has them, each written by `write`, which is told its place.
pub fn of_columns(
    columns: &str,
    compression: Compression,
    write: impl Fn(usize, &mut SerializedColumnWriter<'_>),
) -> Vec<u8> {
    let schema = parse_message_type(&format!("message flow_log {{ {columns} }}")).unwrap();
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut place = 0;
    while let Some(mut column) = group.next_column().unwrap() {
        write(place, &mut column);
        column.close().unwrap();
        place += 1;
    }
    group.close().unwrap();
    writer.into_inner().unwrap()
}
