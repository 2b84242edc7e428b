// Every connection ends some day, at the latest with the next deploy. So: come again, say which message was the last,
// and send again what was not acknowledged.
const open = new Map();  // id → text, sent or about to be
let last = 0;
let socket;

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/ws?after=${last}`);
  socket.onopen = () => open.forEach(send);
  socket.onmessage = (event) => hear(JSON.parse(event.data));
  socket.onclose = () => {
    document.getElementById("state").textContent = "connecting";
    setTimeout(connect, 200 + Math.random() * 800);
  };
}

function send(text, id) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ id, text }));
}

function hear(said) {
  if ("ack" in said) {
    open.delete(said.ack);
  } else if ("error" in said) {
    document.getElementById("state").textContent = said.error;
  } else if ("container" in said) {
    document.getElementById("state").textContent = `version ${said.version}, at ${said.container}`;
  } else {
    last = said.number;
    document.getElementById("messages").appendChild(document.createElement("li")).textContent = said.text;
  }
}

document.getElementById("form").onsubmit = (event) => {
  event.preventDefault();
  const field = document.getElementById("text");
  const id = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16)).join("");
  open.set(id, field.value);
  send(field.value, id);
  field.value = "";
};

connect();
