//! Presentations: slides in the order in which they are shown, with their notes.

use std::io::{BufReader, Read as _};

use quick_xml::events::Event;

use super::draft::Draft;
use super::kind::Kind;
use super::office::{Archive, Dialect, read_xml, told};
use super::{DocumentError, Extracted, broken};

pub(super) fn read(
    archive: &mut Archive<'_>,
    mut draft: Draft,
) -> Result<Extracted, DocumentError> {
    let slides = in_order(archive, &draft)?;
    let count = slides.len();
    let what = format!(
        "presentation, {count} slide{}",
        if count == 1 { "" } else { "s" }
    );
    for (read, slide) in slides.into_iter().enumerate() {
        draft.has_time()?;
        if read >= draft.limits.parts_max {
            draft.is_cut();
            break;
        }
        let heading = format!("slide {}", read.saturating_add(1));
        let path = format!("ppt/slides/{slide}");
        if draft.heading(&heading).is_err()
            || !read_xml(archive, &path, Dialect::Office, &mut draft)?
        {
            break;
        }
        let relations = format!("ppt/slides/_rels/{slide}.rels");
        let relations = attributes(archive, &relations, "Relationship", &["Target"], &draft)?;
        let notes = relations
            .iter()
            .flatten()
            .find_map(|target| target.strip_prefix("../notesSlides/"));
        let Some(notes) = notes else { continue };
        let path = format!("ppt/notesSlides/{notes}");
        if draft.push("Notes:\n").is_err()
            || !read_xml(archive, &path, Dialect::Office, &mut draft)?
        {
            break;
        }
    }
    Ok(draft.finish(what))
}

/// The files of the slides: which there are is told in one place, where they are in another.
fn in_order(archive: &mut Archive<'_>, draft: &Draft) -> Result<Vec<String>, DocumentError> {
    let ids = attributes(archive, "ppt/presentation.xml", "sldId", &["r:id"], draft)?;
    let places = attributes(
        archive,
        "ppt/_rels/presentation.xml.rels",
        "Relationship",
        &["Id", "Target"],
        draft,
    )?;
    let find = |id: &String| {
        places.iter().find_map(|place| match place.as_slice() {
            [at, target] if at == id => Some(target.strip_prefix("slides/")?.to_owned()),
            _ => None,
        })
    };
    Ok(ids.iter().flatten().filter_map(find).collect())
}

/// Of each element of that name, the values of these attributes; of a file that is not there,
/// none.
fn attributes(
    archive: &mut Archive<'_>,
    path: &str,
    element: &str,
    names: &[&str],
    draft: &Draft,
) -> Result<Vec<Vec<String>>, DocumentError> {
    if archive.index_for_name(path).is_none() {
        return Ok(Vec::new());
    }
    let file = archive.by_name(path).map_err(told)?;
    let file = file.take(RELATIONS_BYTES_MAX.min(draft.limits.unpacked_bytes_max));
    let mut reader = quick_xml::Reader::from_reader(BufReader::new(file));
    let mut buffer = Vec::new();
    let mut found = Vec::new();
    loop {
        buffer.clear();
        let event = reader
            .read_event_into(&mut buffer)
            .map_err(|error| broken(Kind::Zip, error))?;
        match event {
            Event::Eof => return Ok(found),
            Event::Start(start) | Event::Empty(start) if start.local_name().as_ref() == element => {
                let values = names.iter().map(|name| {
                    let value = start.try_get_attribute(name).ok().flatten();
                    value
                        .map(|value| value.value.to_string())
                        .unwrap_or_default()
                });
                found.push(values.collect());
            }
            Event::Start(_)
            | Event::Empty(_)
            | Event::End(_)
            | Event::Text(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::GeneralRef(_) => {}
        }
    }
}

/// A line for each of some ten thousand slides.
const RELATIONS_BYTES_MAX: u64 = 4 << 20;
