//! Which files of Parquet are flow logs, and which of their columns are which fields.

use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use ::parquet::file::writer::SerializedColumnWriter;
use flow_log::decode::{ObjectError, RecordFormat};
use flow_log::filter::{Filter, Internal};
use support::parquet::{Compression, of_columns};

use crate::events;
use crate::parquet::sent;

fn text(writer: &mut SerializedColumnWriter<'_>, value: &str) {
    writer.typed::<ByteArrayType>().write_batch(&[ByteArray::from(value)], None, None).unwrap();
}

/// A file with these columns, each of which has its own name as its value.
fn of_text(names: &[&str]) -> Vec<u8> {
    let schema: String = names.iter().map(|name| format!("required binary {name} (UTF8); ")).collect();
    of_columns(&schema, Compression::SNAPPY, |place, writer| text(writer, names[place]))
}

fn error(object: &[u8]) -> ObjectError {
    events(RecordFormat::Auto, Filter::default(), object).unwrap_err()
}

#[test]
fn columns_are_known_whatever_their_case_and_separators_and_by_the_names_of_athena() {
    let expected = r#"{"account_id":"unknown","srcaddr":"a","start":7,"log_status":"OK"}"#;
    for names in [
        ["account_id", "srcaddr", "start", "log_status"],
        ["accountId", "srcAddr", "Start", "logStatus"],
        ["ACCOUNT_ID", "SRCADDR", "START", "LOG_STATUS"],
        ["account-id", "src-addr", "start", "log-status"],
        ["account", "sourceaddress", "starttime", "logstatus"],
    ] {
        let schema = format!(
            "required binary {} (UTF8); required binary {} (UTF8); required int64 {}; required binary {} (UTF8);",
            names[0], names[1], names[2], names[3]
        );
        let file = of_columns(&schema, Compression::SNAPPY, |place, writer| match place {
            0 => text(writer, "unknown"),
            1 => text(writer, "a"),
            2 => drop(writer.typed::<Int64Type>().write_batch(&[7], None, None).unwrap()),
            _ => text(writer, "OK"),
        });
        assert_eq!(sent(&file), [expected], "{names:?}");
    }
}

#[test]
fn a_field_that_two_columns_name_goes_out_once_under_its_name() {
    let file = of_text(&["sourceaddress", "srcaddr", "dstaddr", "DSTADDR", "colour"]);
    let expected = r#"{"sourceaddress":"sourceaddress","srcaddr":"srcaddr","dstaddr":"dstaddr","DSTADDR":"DSTADDR","colour":"colour"}"#;
    assert_eq!(sent(&file), [expected]);
    let file = of_text(&["SrcAddr", "src_addr", "dstaddr"]);
    assert_eq!(sent(&file), [r#"{"srcaddr":"SrcAddr","srcaddr_2":"src_addr","dstaddr":"dstaddr"}"#]);
}

#[test]
fn a_filter_knows_the_fields_under_their_other_names() {
    let file = of_text(&["sourceaddress", "destinationaddress", "log_status"]);
    let schema = "required binary sourceAddress (UTF8); required binary destinationAddress (UTF8);";
    let internal = of_columns(schema, Compression::SNAPPY, |_, writer| text(writer, "10.0.0.1"));
    let filter = Filter { internal: Internal::All, ..Filter::default() };
    assert_eq!(events(RecordFormat::Auto, filter.clone(), &file).unwrap().len(), 1);
    assert_eq!(events(RecordFormat::Auto, filter, &internal).unwrap().len(), 0);
}

#[test]
fn few_fields_are_a_flow_log_if_no_other_log_has_them() {
    for names in [
        &["srcaddr", "dstaddr"][..],
        &["srcaddr"],
        &["action", "region"],
        &["pkt_srcaddr", "dstaddr", "of_next_year", "and_another"],
        &["interface_id", "of_next_year", "and_another"],
        &["of_next_year", "tgw_id"],
    ] {
        assert_eq!(sent(&of_text(names)).len(), 1, "{names:?}");
    }
}

#[test]
fn what_is_something_else_is_rejected_with_words_that_say_what_it_is() {
    // Security Lake: addresses lie in groups, and what is at the top has names that a flow log has too.
    let ocsf = "required group metadata { required binary version (UTF8); }
        required group src_endpoint { required binary ip (UTF8); required binary interface_uid (UTF8); }
        required group dst_endpoint { required binary srcaddr (UTF8); required binary dstaddr (UTF8); }
        required binary class_uid (UTF8); required binary start_time (UTF8); required binary end_time (UTF8);
        required binary region (UTF8); required binary accountid (UTF8); required binary action (UTF8);";
    let object = of_columns(ocsf, Compression::ZSTD(Default::default()), |_, writer| text(writer, "1"));
    let said = error(&object);
    assert_eq!(said.cause(), "not a flow log");
    assert!(
        said.is_poison() && said.to_string().contains("OCSF file of Security Lake, not a VPC flow log"),
        "{said}"
    );

    for (schema, part) in [
        // Known names in groups say nothing.
        ("required group flow { required binary srcaddr (UTF8); required binary dstaddr (UTF8); }", "flow"),
        ("repeated binary srcaddr (UTF8); repeated binary dstaddr (UTF8);", "srcaddr, dstaddr"),
        // The resolver's queries have some of the same fields.
        (
            "required binary version (UTF8); required binary account_id (UTF8); required binary vpc_id (UTF8);
             required binary query_name (UTF8); required binary srcaddr (UTF8); required binary srcport (UTF8);",
            "version, account_id, vpc_id, query_name",
        ),
        ("required binary colour (UTF8);", "colour"),
    ] {
        let repeated = schema.contains("repeated");
        let object = of_columns(schema, Compression::UNCOMPRESSED, |_, writer| {
            let levels = repeated.then_some(&[1_i16][..]);
            let repetition = repeated.then_some(&[0_i16][..]);
            writer.typed::<ByteArrayType>().write_batch(&[ByteArray::from("1")], levels, repetition).unwrap();
        });
        let said = error(&object);
        assert_eq!(said.cause(), "not a flow log", "{said}");
        assert!(said.to_string().contains(part) && said.to_string().contains("not a VPC flow log"), "{said}");
    }
}
