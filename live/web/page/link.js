// SPDX-License-Identifier: Apache-2.0
// A WebSocket that comes back by itself, also where nothing says that the other side is gone.
const SILENT_MS = 3000; // both streams send something every second
const RETRY_MS = [250, 500, 1000, 2000];

export class Link {
  static isPaused = false; // reading needs the token first

  // onMessage(data), onChange(isUp)
  constructor(path, onMessage, onChange) {
    Object.assign(this, {path, onMessage, onChange, isUp: false, attempts: 0});
    setInterval(() => this.watch(), 500);
    window.addEventListener("online", () => this.open());
    this.open();
  }

  open() {
    if (this.socket && this.socket.readyState <= WebSocket.OPEN) return;
    clearTimeout(this.timer);
    if (Link.isPaused) {
      this.timer = setTimeout(() => this.open(), RETRY_MS[1]);
      return;
    }
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${this.path}`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.heardAt = performance.now();
    socket.onmessage = (message) => {
      if (socket !== this.socket) return;
      this.heardAt = performance.now();
      this.attempts = 0;
      this.tell(true);
      this.onMessage(message.data);
    };
    socket.onclose = () => socket === this.socket && this.lose();
  }

  lose() {
    this.socket.onclose = this.socket.onmessage = null;
    this.socket.close();
    this.socket = null;
    this.tell(false);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), RETRY_MS[Math.min(this.attempts++, RETRY_MS.length - 1)]);
  }

  watch() {
    if (this.socket && performance.now() - this.heardAt > SILENT_MS) this.lose();
  }

  tell(isUp) {
    if (isUp === this.isUp) return;
    this.isUp = isUp;
    this.onChange(isUp);
  }
}
