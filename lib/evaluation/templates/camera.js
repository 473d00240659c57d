// The camera: its frames are asked about as pictures are, and none of them is kept or sent.

const [video, camera, live, stop] = ["video", "camera", "live", "stop"].map(at);
const HALF_SECOND = 500;  // milliseconds
let stream = null, facing = "environment", recent = [];

function endStream() {
  stream?.getTracks().forEach(track => track.stop());
  stream = null;
  recent = [];
}

// Whose button goes finds the one that comes.
function showLive(isOn) {
  const hadFocus = (isOn ? camera : live).contains(document.activeElement);
  live.hidden = !isOn;
  camera.hidden = isOn;
  if (hadFocus) (isOn ? stop : camera).focus();
}

function stopCamera() {
  endStream();
  showLive(false);
}

function refuse(error) {
  stopCamera();
  at("refused").textContent = `The camera can't be used (${error.message || error.name}): `
    + "allow it for this page in your browser, or choose pictures.";
}

async function startCamera() {
  endStream();
  at("refused").textContent = "";
  const opened = await navigator.mediaDevices.getUserMedia({video: {facingMode: facing}});
  endStream();  // It may have been started twice.
  stream = opened;
  stream.getTracks()[0].addEventListener("ended", stopCamera);  // It was pulled out, or taken back.
  video.srcObject = stream;
  await video.play();
  showLive(true);
  await watch(stream);
}

async function watch(own) {
  const ask = await model;
  while (stream === own) {
    const frame = await createImageBitmap(video);
    const found = await ask(square(frame));
    frame.close();
    if (stream === own) at("seen").replaceChildren(...tell(decide(keep(averageRecent(found)))));
    // Not before the next frame, and not while the page is out of sight.
    await new Promise(requestAnimationFrame);
  }
}

// The mean of the last half second, which a single blurred frame does not turn round.
function averageRecent(found) {
  const now = performance.now();
  recent = recent.filter(one => one.time > now - HALF_SECOND);
  recent.push({...found, time: now});
  return {
    probabilities: found.probabilities.map((_, k) => mean(recent.map(one => one.probabilities[k]))),
    distance: found.distance && mean(recent.map(one => one.distance)),
  };
}

camera.hidden = !navigator.mediaDevices;
camera.onclick = () => startCamera().catch(refuse);
stop.onclick = stopCamera;
at("other").onclick = () => {
  facing = facing === "environment" ? "user" : "environment";
  startCamera().catch(refuse);
};
