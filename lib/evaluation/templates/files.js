// What a file's own bytes tell before a browser decodes it.

const MAX_PIXELS = 89478485;  // pixels, as elsewhere in the project
const TOO_LARGE = "it has more than 89 million pixels";

// From marker to marker: a thumbnail in the head of a JPEG has markers of its own.
function* listMarkers(bytes) {
  for (let at = 2; at + 1 < bytes.length;) {
    const kind = bytes[at + 1];
    if (bytes[at] !== 255 || kind === 255) {
      at += 1;
      continue;
    }
    yield {kind, at};
    const hasLength = kind >= 0xd8 || (kind >= 2 && kind < 0xd0);
    at += hasLength ? 2 + 256 * bytes[at + 2] + bytes[at + 3] : 2;
  }
}

const hasEndOfJpeg = bytes => [...listMarkers(bytes)].some(({kind}) => kind === 0xd9);

function hasEndOfPng(bytes, view) {
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    if (view.getUint32(at + 4) === 0x49454e44) return true;  // IEND
  }
  return false;
}

// Some browsers show what is left of a picture, and the rest grey.
function isCutOff(bytes, view, head) {
  if (head.startsWith("\xff\xd8")) return !hasEndOfJpeg(bytes);
  if (head.startsWith("\x89PNG")) return !hasEndOfPng(bytes, view);
  if (head.startsWith("GIF8")) return bytes[bytes.length - 1] !== 0x3b;
  // These two say in their head how long they are.
  if (head.startsWith("RIFF")) return view.getUint32(4, true) + 8 > bytes.length;
  return head.startsWith("BM") && view.getUint32(2, true) > bytes.length;
}

function countPixelsOfJpeg(bytes, view) {
  const isFrame = ({kind}) => kind >= 0xc0 && kind <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(kind);
  const frame = [...listMarkers(bytes)].find(isFrame);
  return frame ? view.getUint16(frame.at + 5) * view.getUint16(frame.at + 7) : 0;
}

function countPixelsOfWebp(view, head) {
  if (head.endsWith("VP8X")) {
    return (1 + (view.getUint32(24, true) & 0xffffff)) * (1 + (view.getUint32(26, true) >>> 8));
  }
  if (head.endsWith("VP8L")) {
    const bits = view.getUint32(21, true);
    return (1 + (bits & 0x3fff)) * (1 + (bits >>> 14 & 0x3fff));
  }
  return (view.getUint16(26, true) & 0x3fff) * (view.getUint16(28, true) & 0x3fff);
}

// A picture of tiles tells the size of each and of the whole.
function countPixelsOfAvif(view) {
  let most = 0;
  for (let at = 0; at + 16 <= Math.min(view.byteLength, 4096); at++) {
    if (view.getUint32(at) === 0x69737065) {  // ispe
      most = Math.max(most, view.getUint32(at + 8) * view.getUint32(at + 12));
    }
  }
  return most;
}

// 0 where the head doesn't tell: then the decoded picture is measured.
function countPixels(bytes, view, head) {
  if (head.startsWith("\xff\xd8")) return countPixelsOfJpeg(bytes, view);
  if (head.startsWith("\x89PNG")) return view.getUint32(16) * view.getUint32(20);
  if (head.startsWith("GIF8")) return view.getUint16(6, true) * view.getUint16(8, true);
  if (head.startsWith("RIFF")) return countPixelsOfWebp(view, head);
  // Bitmaps of 1990 have a shorter head, and no room for many pixels.
  const isBitmap = head.startsWith("BM") && view.getUint32(14, true) >= 40;
  if (isBitmap) return Math.abs(view.getInt32(18, true) * view.getInt32(22, true));
  return head.startsWith("ftypav", 4) ? countPixelsOfAvif(view) : 0;
}

function describeProblem(bytes, head) {
  const view = new DataView(bytes.buffer);
  if (isCutOff(bytes, view, head)) return "the file is cut off: its end is missing";
  if (countPixels(bytes, view, head) > MAX_PIXELS) return TOO_LARGE;
  return "";
}
