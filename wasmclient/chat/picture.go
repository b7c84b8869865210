package chat

import (
	"bytes"
	"encoding/binary"
)

// Picture is a picture of a message, as its first bytes describe it. What a message says about it beside
// them is not asked.
type Picture struct {
	Type          string // image/webp, image/png, image/jpeg or image/gif
	Width, Height int    // in pixels, at least 1
	Data          []byte
	Alt           string // what is seen on it, in words, or ""
}

// Bounds of a picture that is shown. Beyond them it is a file: a few bytes may stand for gigabytes.
const (
	maxPicture = 1 << 20 // bytes
	maxSide    = 8192    // pixels
	maxPixels  = 16 << 20
)

// Bounds of a picture that is made smaller to be sent, and of what is sent.
const (
	maxPictureFile = 50 << 20 // bytes
	maxCamera      = 120_000_000
	maxPictureSent = 100_000 // bytes
)

// PictureOf returns the picture that these bytes are, or nil if it is none of the kinds that are shown. It
// does not decode more than is needed for its size.
func PictureOf(data []byte) *Picture {
	p := &Picture{Data: data}
	switch {
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		p.Type = "image/png"
		if len(data) >= 24 && string(data[12:16]) == "IHDR" {
			p.Width, p.Height = clamp(binary.BigEndian.Uint32(data[16:])), clamp(binary.BigEndian.Uint32(data[20:]))
		}
	case bytes.HasPrefix(data, []byte("GIF87a")), bytes.HasPrefix(data, []byte("GIF89a")):
		p.Type = "image/gif"
		if len(data) >= 10 {
			p.Width, p.Height = int(binary.LittleEndian.Uint16(data[6:])), int(binary.LittleEndian.Uint16(data[8:]))
		}
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		p.Type = "image/jpeg"
		p.Width, p.Height = sizeOfJPEG(data)
	case len(data) >= 30 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP":
		p.Type = "image/webp"
		p.Width, p.Height = sizeOfWebP(string(data[12:16]), data[20:])
	}
	if p.Width <= 0 || p.Height <= 0 {
		return nil
	}
	return p
}

// clamp keeps a size that a file only claims within what an int holds everywhere.
func clamp(n uint32) int { return int(min(n, 1<<30)) }

func sizeOfWebP(chunk string, b []byte) (width, height int) {
	switch {
	case chunk == "VP8 " && b[3] == 0x9d && b[4] == 1 && b[5] == 0x2a:
		return int(binary.LittleEndian.Uint16(b[6:]) & 0x3fff), int(binary.LittleEndian.Uint16(b[8:]) & 0x3fff)
	case chunk == "VP8L" && b[0] == 0x2f:
		bits := binary.LittleEndian.Uint32(b[1:])
		return int(bits&0x3fff) + 1, int(bits>>14&0x3fff) + 1
	case chunk == "VP8X":
		return int(b[4]) | int(b[5])<<8 | int(b[6])<<16 + 1, int(b[7]) | int(b[8])<<8 | int(b[9])<<16 + 1
	}
	return 0, 0
}

// sizeOfJPEG finds the segment that says the size: there may be a few before it.
func sizeOfJPEG(b []byte) (width, height int) {
	for at := 2; at+9 <= len(b); {
		if b[at] != 0xff {
			return 0, 0
		}
		kind := b[at+1]
		switch {
		case kind == 0xff: // padding
			at++
			continue
		case kind >= 0xc0 && kind <= 0xcf && kind != 0xc4 && kind != 0xc8 && kind != 0xcc:
			return int(binary.BigEndian.Uint16(b[at+7:])), int(binary.BigEndian.Uint16(b[at+5:]))
		}
		at += 2 + int(binary.BigEndian.Uint16(b[at+2:]))
	}
	return 0, 0
}

// Shown reports whether the picture is shown, and not offered as a file.
func (p *Picture) Shown() bool {
	return len(p.Data) <= maxPicture && p.Width <= maxSide && p.Height <= maxSide && p.Width*p.Height <= maxPixels
}

// AsItIs is Look's word for a file that is sent as it is.
const AsItIs = "as it is"

// PreparingText says that a picture is made ready to be sent.
const PreparingText = "Preparing the picture…"

// Look tells what to do with a file that somebody wants to send, by its first bytes and its size: "" to make
// it smaller, AsItIs, or a sentence that says why it can't be sent.
func Look(head []byte, size int) string {
	p := PictureOf(head)
	switch {
	case p == nil:
		return "Only pictures can be sent: WebP, PNG, JPEG or GIF"
	case size > maxPictureFile:
		return "That picture is too large: " + Size(size) + " of at most " + Size(maxPictureFile)
	case p.Width > 1<<16 || p.Height > 1<<16 || int64(p.Width)*int64(p.Height) > maxCamera:
		return "That picture is too large: " + Thousands(p.Width) + " by " + Thousands(p.Height) + " pixels"
	case p.Type == "image/gif" && size <= maxPictureSent && p.Shown():
		return AsItIs // it may move, and holds no more than is seen
	}
	return ""
}

// Bounds of a picture in the list, in CSS pixels. It is never smaller than a finger.
const (
	listWidth, listHeight = 360, 280
	leastInList           = 44
)

// InList returns the size at which the picture stands in the list, which is known before it is decoded, so
// that nothing moves then.
func (p *Picture) InList() (width, height int) {
	w, h := float64(p.Width), float64(p.Height)
	scale := min(1, listWidth/w, listHeight/h)
	return max(leastInList, int(w*scale+0.5)), max(leastInList, int(h*scale+0.5))
}
