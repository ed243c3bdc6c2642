;; devd: tell the daemon about each save. `devd hook emacs >> ~/.emacs.d/init.el`
(defun devd-saved ()
  "Tell devd that the file of this buffer was saved.  Nothing waits for it."
  (when (and buffer-file-name
             (not (file-remote-p buffer-file-name))
             (executable-find "devd"))
    (call-process "devd" nil 0 nil "saved" "--" (expand-file-name buffer-file-name))))

(add-hook 'after-save-hook #'devd-saved)
