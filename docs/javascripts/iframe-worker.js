// Browsers refuse web workers on pages opened from a folder (file://), so search would stop there. On such pages only,
// this runs a worker's script in a hidden frame that has the same two functions, postMessage and onmessage.
"use strict";
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.onmessage = this.onerror = this.onmessageerror = null;
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.appendChild(this.frame);
      const scope = this.frame.contentWindow;
      scope.postMessage = (data) => setTimeout(() => this.deliver(data));
      const script = scope.document.createElement("script");
      script.src = new URL(url, location.href).href;
      script.onload = () => {
        this.ready = true;
        this.waiting.forEach((data) => this.postMessage(data));
      };
      script.onerror = (event) => this.onerror && this.onerror(event);
      scope.document.body.appendChild(script);
    }
    deliver(data) {
      const event = new MessageEvent("message", { data: structuredClone(data) });
      if (this.onmessage) this.onmessage(event);
      this.dispatchEvent(event);
    }
    postMessage(data) {
      if (!this.ready) return void this.waiting.push(data);
      const event = new MessageEvent("message", { data: structuredClone(data) });
      setTimeout(() => this.frame.contentWindow && this.frame.contentWindow.onmessage(event));
    }
    terminate() {
      this.frame.remove();
    }
  };
}
