/* A page opened from the disk may start no worker. Search wants one: run it in a hidden frame. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.waiting = []
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      document.body.append(this.frame)
      const inside = this.frame.contentWindow
      /* What the worker posts comes out here; what is posted before it stands waits. */
      inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      inside.importScripts = () => {}
      const script = inside.document.createElement("script")
      script.src = url
      script.onload = () => {
        this.waiting.splice(0).forEach(data => this.deliver(data))
        this.waiting = null
      }
      inside.document.body.append(script)
    }
    deliver(data) {
      const inside = this.frame.contentWindow
      inside.dispatchEvent(new inside.MessageEvent("message", { data }))
    }
    postMessage(data) {
      if (this.waiting) this.waiting.push(data)
      else this.deliver(data)
    }
    terminate() {
      this.frame.remove()
    }
  }
}
