// Lets the search run on pages that were opened from a disk, where browsers start no workers: a hidden frame does the
// worker's part. On a server nothing is changed.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    onmessage = null;
    #frame = document.createElement("iframe");
    #loaded;

    constructor(script) {
      super();
      this.#frame.hidden = true;
      document.body.append(this.#frame);
      const inside = this.#frame.contentWindow;
      // What the script finds in a worker: it answers by postMessage, and loads further scripts by importScripts.
      inside.postMessage = (data) => {
        const event = new MessageEvent("message", { data });
        this.dispatchEvent(event);
        this.onmessage?.(event);
      };
      inside.importScripts = (...scripts) =>
        scripts.reduce((before, address) => before.then(() => this.#load(address)), Promise.resolve());
      this.#loaded = this.#load(script);
    }

    #load(address) {
      return new Promise((resolve, reject) => {
        const tag = this.#frame.contentDocument.createElement("script");
        tag.src = new URL(address, location.href);
        tag.onload = resolve;
        tag.onerror = reject;
        this.#frame.contentDocument.body.append(tag);
      });
    }

    postMessage(data) {
      const frame = this.#frame.contentWindow;
      this.#loaded.then(() => frame.dispatchEvent(new frame.MessageEvent("message", { data: structuredClone(data) })));
    }

    terminate() {
      this.#frame.remove();
    }
  };
}
