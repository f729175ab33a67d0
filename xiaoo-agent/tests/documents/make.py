"""Makes the documents in files/ anew. Needs reportlab, python-docx, python-pptx, openpyxl, xlwt
and odfpy; what they write is committed, so that the tests need none of them."""

import datetime
import os
import struct
import zlib

import docx
import openpyxl
import reportlab
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet, OpenDocumentText
from odf.table import Table, TableCell, TableRow
from odf.text import H, P
from pptx import Presentation
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen import canvas

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "files"))


def pdf(name, **options):
    return canvas.Canvas(name, invariant=1, **options)


# A font that is not in the file, with an encoding of Chinese systems; and one that is in it.
pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
fonts = os.path.join(os.path.dirname(reportlab.__file__), "fonts")
pdfmetrics.registerFont(TTFont("Vera", os.path.join(fonts, "Vera.ttf")))
c = pdf("report.pdf")
c.setFont("STSong-Light", 14)
c.drawString(72, 720, "季度报告")
c.setFont("Vera", 12)
c.drawString(72, 700, "Quarterly report: café 42")
c.showPage()
c.drawString(72, 720, "Second page")
c.save()

c = pdf("scanned.pdf")
c.rect(10, 10, 100, 100)
c.save()

c = pdf("protected.pdf", encrypt=StandardEncryption("sesame", strength=128))
c.drawString(72, 720, "hidden")
c.save()

d = docx.Document()
d.add_heading("会议纪要", 1)
d.add_paragraph("First & <second>").add_run("\tafter a tab")
table = d.add_table(2, 2)
for row, cells in enumerate([("姓名", "分数"), ("Li Lei", "95")]):
    for column, text in enumerate(cells):
        table.cell(row, column).text = text
d.add_paragraph("The end.")
d.save("minutes.docx")

p = Presentation()
for number in (1, 2):
    slide = p.slides.add_slide(p.slide_layouts[1])
    slide.shapes.title.text = f"Slide title {number}"
    slide.placeholders[1].text = "要点一\n要点二"
slide.notes_slide.notes_text_frame.text = "Say hello"
# Shown in another order than they were made in.
order = p.slides._sldIdLst
order.insert(0, order[1])
p.save("slides.pptx")

book = openpyxl.Workbook()
sheet = book.active
sheet.title = "成绩"
sheet.append(["姓名", "分数", "日期"])
sheet.append(["Li Lei", 95.5, datetime.date(2026, 9, 21)])
sheet.append(["Han Meimei", 88, datetime.datetime(2026, 9, 22, 8, 30)])
sheet["E6"] = "far"
book.create_sheet("Empty")
book.save("scores.xlsx")

book = openpyxl.Workbook()
book.active["XFD1048576"] = "last"
book.save("last_cell.xlsx")

book = xlwt.Workbook()
sheet = book.add_sheet("Old")
for row, cells in enumerate([("名称", "数量"), ("pear", 3)]):
    for column, value in enumerate(cells):
        sheet.write(row, column, value)
book.save("old.xls")

book = OpenDocumentSpreadsheet()
table = Table(name="Fruits")
for cells in [("apple", "1"), ("梨", "2")]:
    row = TableRow()
    for value in cells:
        cell = TableCell(valuetype="string")
        cell.addElement(P(text=value))
        row.addElement(cell)
    table.addElement(row)
book.spreadsheet.addElement(table)
book.save("fruits.ods")

letter = OpenDocumentText()
letter.text.addElement(H(outlinelevel=1, text="标题"))
letter.text.addElement(P(text="A paragraph."))
letter.save("letter.odt")


def chunk(kind, data):
    crc = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + crc


with open("dot.png", "wb") as png:
    png.write(b"\x89PNG\r\n\x1a\n")
    png.write(chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 2, 8, 0, 0, 0, 0)))
    png.write(chunk(b"IDAT", zlib.compress(b"\0" * 8)))
    png.write(chunk(b"IEND", b""))
